// Makes queries stale when an event says that what they show has changed, with a query
// client as TanStack Query has:
//
//   invalidate(target, queryClient, { "todo:*": (event) => ["todo", event.topic] });
//
// Behind a gap nobody knows what has changed, so all of them are.

export function invalidate(target, queryClient, keys, { signal } = {}) {
  for (const [topic, key] of Object.entries(keys)) {
    target.addEventListener(topic, (event) => queryClient.invalidateQueries({ queryKey: key(event) }), { signal });
  }
  target.addEventListener("gap", () => queryClient.invalidateQueries(), { signal });
}
