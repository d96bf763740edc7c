/** RFC 9110, 9.2.2: the methods of requests that may happen twice. */
const idempotent: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'TRACE'])

/** Client libraries take methods in lower case as well. */
export function isIdempotent(method: string): boolean {
  return idempotent.has(method.toUpperCase())
}
