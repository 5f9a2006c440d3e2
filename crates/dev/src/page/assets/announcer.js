// What a screen reader hears: changes of state, not every percent.

/** Returns a function that says a sentence in `region`, an `aria-live` element. */
export function announcer(region) {
  return (sentence) => {
    region.textContent = sentence;
  };
}
