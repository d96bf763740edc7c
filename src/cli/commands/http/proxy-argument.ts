import { mustBe } from '../../lib/invalid-argument.js'

/** The URL of an HTTP proxy. */
export function proxyArgument(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url?.protocol === 'http:') return url
  throw mustBe('the http URL of a proxy, such as http://127.0.0.1:3128')
}
