/** The result of `run`, or a fallback if that throws: a getter, or a proxy, of a value that the program passed may throw anything. */
export function tryOr<Result, Fallback>(run: () => Result, fallback: Fallback): Result | Fallback {
  try {
    return run()
  } catch {
    return fallback
  }
}
