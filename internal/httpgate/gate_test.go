package httpgate_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/eventtarget-go/toolkit/internal/httpgate"
)

// TestRefuse: a refusal is answered as it says, and one without a status as one, too.
func TestRefuse(t *testing.T) {
	for given, want := range map[int]int{http.StatusTeapot: http.StatusTeapot, 0: http.StatusForbidden} {
		answer := httptest.NewRecorder()
		httpgate.Refuse(answer, fmt.Errorf("wrapped: %w", &httpgate.Refusal{Status: given, Text: "short and stout"}))
		if text := strings.TrimSpace(answer.Body.String()); answer.Code != want || text != "short and stout" {
			t.Errorf("%d is answered with %d %s", given, answer.Code, text)
		}
	}
}
