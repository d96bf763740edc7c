/** What a server's `Keep-Alive` header announces. The server may close a connection earlier. */
export interface KeepAlive {
  /** How long the server keeps an idle connection, in ms. */
  readonly timeout?: number
  /** How many more requests the server accepts on the connection. Some servers send the total instead. */
  readonly max?: number
}

/** `name`, `name=token` or `name="text"`, up to the next comma outside quotes. */
const parameter = /\s*([^=,\s"]+)\s*(?:=\s*(?:"([^"]*)"|([^,"]*)))?[^,]*(?:,|$)/y

/**
 * Parses a `Keep-Alive` header: `timeout=5, max=100`. It skips malformed and unknown parameters. If a parameter occurs twice, the lower value
 * applies. Never throws.
 *
 * @param header the value of the header, or the values of several.
 * @example
 * ```ts
 * parseKeepAlive('timeout=5, max=100') // { timeout: 5000, max: 100 }
 * parseKeepAlive('timeout=soon')       // {}
 * ```
 */
export function parseKeepAlive(header: string | readonly string[] | undefined): KeepAlive {
  const text = Array.isArray(header) ? header.join(',') : header
  const found: { timeout?: number; max?: number } = {}
  if (typeof text !== 'string') return found
  parameter.lastIndex = 0
  while (parameter.lastIndex < text.length) {
    const at = parameter.lastIndex
    const [whole, name = '', quoted, token = ''] = parameter.exec(text) ?? []
    if (whole === undefined) {
      // An empty or malformed member: skip it.
      const comma = text.indexOf(',', at)
      parameter.lastIndex = comma < 0 ? text.length : comma + 1
      continue
    }
    const value = wholeNumber((quoted ?? token).trim())
    if (value === undefined) continue
    const key = name.toLowerCase()
    if (key === 'timeout') found.timeout = Math.min(found.timeout ?? Number.POSITIVE_INFINITY, value * 1000)
    if (key === 'max') found.max = Math.min(found.max ?? Number.POSITIVE_INFINITY, value)
  }
  return found
}

/** At most 12 digits: such a number of seconds is exact in ms too. */
function wholeNumber(text: string): number | undefined {
  return /^\d{1,12}$/.test(text) ? Number(text) : undefined
}
