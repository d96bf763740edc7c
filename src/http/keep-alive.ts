/** How long a server says that it keeps a connection: hints, no promises. */
export interface KeepAlive {
  /** For how long it keeps an idle connection, in ms. */
  readonly timeout?: number
  /** How many more requests it takes. Some servers send the total instead. */
  readonly max?: number
}

/** `name`, `name=token` or `name="text"`, up to the next comma that is not in quotes. */
const parameter = /\s*([^=,\s"]+)\s*(?:=\s*(?:"([^"]*)"|([^,"]*)))?[^,]*(?:,|$)/y

/**
 * Reads a `Keep-Alive` header: `timeout=5, max=100`. Malformed and unknown parameters are left out. If a parameter is given twice, the lower
 * value counts. Never throws.
 *
 * @param header its value as Node has it; several lines are one list.
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
      // An empty member, or none of this form: on to the next.
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

/** No more digits than a number holds exactly, in ms as well. */
function wholeNumber(text: string): number | undefined {
  return /^\d{1,12}$/.test(text) ? Number(text) : undefined
}
