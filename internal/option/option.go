// Package option says what is wrong with an option, by its name.
package option

import (
	"fmt"
	"time"
)

// NotNegative returns an error that names an option which is below zero.
func NotNegative[N int | int64 | float64 | time.Duration](name string, n N) error {
	if n < 0 {
		return fmt.Errorf("%s is negative (%v)", name, n)
	}
	return nil
}
