/** Returns the result of `run`, or a fallback if `run` throws. A getter or proxy that the program passed may throw anything. */
export function tryOr<Result, Fallback>(run: () => Result, fallback: Fallback): Result | Fallback {
  try {
    return run()
  } catch {
    return fallback
  }
}
