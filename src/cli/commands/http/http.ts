import { setTimeout as delay } from 'node:timers/promises'
import { inWords } from '../../../path/in-words.js'
import { writeFindings } from '../../lib/findings.js'
import { interruptible } from '../../lib/interrupt.js'
import { withProgress } from '../../lib/progress.js'
import { complain, firstLine, paint, write } from '../../lib/terminal.js'
import { Misuse } from '../../lib/usage.js'
import { CutOff, type Exchange, promiseOf } from './exchange.js'
import { ClosedTogether, findTimeout, type IdleTimeout, NeverIdle } from './find-timeout.js'
import { NotOurOrigin } from './hop-by-hop.js'
import { exchangeByHttp1, type Wording } from './http1.js'
import { exchangeByHttp2 } from './http2.js'
import { type HttpFinding, judgeExchanges } from './judge.js'
import { type Opened, Opener } from './opening.js'
import { serveOrigin } from './origin.js'
import { examineProxy, type ProxyRun, showProxy } from './proxy.js'
import { judgeTimeout, showTimeout, type TimeoutFinding } from './timeout.js'

export interface HttpCommandOptions {
  readonly 'http1.0'?: boolean
  readonly 'http1.1'?: boolean
  readonly idle: number
  readonly insecure?: boolean
  readonly json?: boolean
  readonly timeout: number
  readonly findTimeout?: boolean
  readonly upTo: number
  readonly proxy?: URL
  readonly serve?: number
}

/** The result of two requests over one pool. */
interface Run {
  /** The protocol of the requests. */
  readonly asked: string
  readonly requests: readonly Exchange[]
  readonly connections: readonly Opened[]
  readonly tlsHandshakes: number
  readonly reused: boolean
  readonly findings: readonly HttpFinding[]
}

/** What the command found: the members of its JSON output. */
interface Result {
  readonly runs?: readonly Run[]
  readonly idleTimeout?: IdleTimeout & { readonly findings: readonly TimeoutFinding[] }
  readonly proxy?: readonly ProxyRun[]
}

/** Prints whether an origin keeps connections. Returns the exit code: 1 if it does not keep them or does not respond. */
export async function httpCommand(text: string | undefined, options: HttpCommandOptions): Promise<number> {
  if (options.serve !== undefined) return serve(text, options.serve, options)
  const url = parse(text)
  if (options.proxy && url.protocol === 'https:') {
    throw new Misuse(
      `--proxy needs an http URL, because a proxy passes on the bytes of an https connection without reading them; got '${url.href}'`,
    )
  }
  let result: Result
  try {
    result = await withProgress(`requesting ${url.origin}`, () => request(url, options))
  } catch (error) {
    complain(`${url.origin} ${inWordsOf(error)}`)
    return 1
  }
  const { runs = [], idleTimeout, proxy = [] } = result
  if (options.json) write(JSON.stringify({ url: url.href, ...result }, undefined, 2))
  else {
    runs.forEach(show)
    if (idleTimeout) showTimeout(idleTimeout, idleTimeout.findings)
    showProxy(proxy)
  }
  const findings = [...runs, ...proxy, ...(idleTimeout ? [idleTimeout] : [])].flatMap((each) => [
    ...each.findings,
  ])
  return findings.some(({ severity }) => severity !== 'note') ? 1 : 0
}

function serve(
  text: string | undefined,
  port: number,
  { json = false }: HttpCommandOptions,
): Promise<number> {
  if (text !== undefined) throw new Misuse(`--serve takes no <url>; got '${text}'`)
  return interruptible((signal) => serveOrigin(port, json, signal))
}

/** Errors whose messages continue a sentence that begins with the origin. */
const whole = [NeverIdle, ClosedTogether, NotOurOrigin]

function inWordsOf(error: unknown): string {
  const { message, code } = error as NodeJS.ErrnoException
  const why = firstLine(message || code!)
  if (whole.some((kind) => error instanceof kind)) return why
  const what =
    error instanceof CutOff ? 'ended the connection in the middle of a response' : 'does not respond'
  return `${what}: ${why}`
}

/** @throws {@link Misuse} for anything but http and https. */
function parse(text: string | undefined): URL {
  if (text === undefined) throw new Misuse('<url> is missing; --help shows what this command takes')
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return url
  throw new Misuse(`<url> must be an http or https URL such as https://example.org/; got '${text}'`)
}

async function request(url: URL, options: HttpCommandOptions): Promise<Result> {
  const { findTimeout: finds = false, insecure = false, timeout, upTo, proxy } = options
  const target = targetOf(url, proxy)
  const headers = { Host: url.host, 'User-Agent': 'deadpeer', Accept: '*/*' }
  const opener = () => new Opener(proxy ?? url, { alpn: ['http/1.1'], insecure, timeout })
  if (finds) {
    const found = await findTimeout(opener(), { target, headers, upTo, timeout })
    return { idleTimeout: { ...found, findings: judgeTimeout(found) } }
  }
  const wordings: Wording[] = options['http1.0'] ? ['1.0', '1.0 keep-alive'] : ['1.1']
  const runs: Run[] = []
  for (const wording of wordings) {
    const run = await runTwice(url, wording, options)
    if (!run) {
      const versions = options['http1.0'] ? (['1.0'] as const) : (['1.0', '1.1'] as const)
      return { proxy: await examineProxy(opener(), versions, { target, headers, timeout }) }
    }
    runs.push(run)
  }
  return { runs }
}

/** A proxy gets the whole URL: RFC 9112, 3.2.2. */
function targetOf(url: URL, proxy: URL | undefined): string {
  const path = `${url.pathname}${url.search}`
  return proxy ? `${url.origin}${path}` : path
}

/** `undefined` if the response comes from `deadpeer http --serve`. */
async function runTwice(url: URL, wording: Wording, options: HttpCommandOptions): Promise<Run | undefined> {
  const { idle, timeout, insecure = false, proxy } = options
  const alpn =
    options['http1.1'] || wording !== '1.1'
      ? [wording === '1.1' ? 'http/1.1' : 'http/1.0']
      : ['h2', 'http/1.1']
  const opener = new Opener(proxy ?? url, { alpn, insecure, timeout })
  const first = await opener.open()
  const isHttp2 = opener.opened[0]!.tls?.alpn === 'h2'
  const pause = async () => void (idle > 0 && (await delay(idle)))
  const target = targetOf(url, proxy)
  const requests = isHttp2
    ? await exchangeByHttp2(url, opener, first, { pause, timeout })
    : await exchangeByHttp1(url, opener, first, { wording, pause, timeout, target })
  if (requests[0]?.headers.deadpeerOrigin !== undefined) return undefined
  const findings = judgeExchanges(requests, isHttp2 ? '2' : wording, idle)
  return {
    asked: isHttp2 ? 'HTTP/2' : asked[wording],
    requests,
    connections: opener.opened,
    tlsHandshakes: opener.opened.filter((each) => each.tls).length,
    reused: requests[1]!.reused,
    findings,
  }
}

const asked = {
  '1.1': 'HTTP/1.1',
  '1.0': 'HTTP/1.0',
  '1.0 keep-alive': 'HTTP/1.0 with Connection: keep-alive',
} as const

function show({ asked, requests, connections, tlsHandshakes, reused, findings }: Run): void {
  write(paint(asked, 'strong'))
  for (const { id, remote, connect, tls } of connections) {
    const secured = tls
      ? `, ${tls.protocol} in ${tls.handshake.toFixed(1)} ms, ALPN ${tls.alpn ?? 'none'}`
      : ''
    write(`  connection ${id}  ${remote}, opened in ${connect.toFixed(1)} ms${secured}`)
  }
  requests.forEach(({ status, httpVersion, connection, reused: again, took, headers }, i) => {
    const over = `connection ${connection}${again ? ', reused' : ''}`
    write(`  request ${i + 1}     ${status}, HTTP/${httpVersion}, over ${over}, ${took.toFixed(1)} ms`)
    for (const [name, value] of [
      ['Connection', headers.connection],
      ['Keep-Alive', headers.keepAlive],
      ['Via', headers.via],
    ]) {
      if (value !== undefined) write(paint(`    ${name}: ${value}`, 'faint'))
    }
  })
  write(`  connections opened ${connections.length}, TLS handshakes ${tlsHandshakes}`)
  write(`  ${paint(verdict(reused, requests[0]!), reused ? 'good' : 'warning')}`)
  writeFindings(findings)
  write()
}

function verdict(reused: boolean, { headers }: Exchange): string {
  if (!reused) return 'not reused'
  const { timeout, max } = promiseOf(headers)
  const most = max === undefined ? '' : `, ${max} more requests`
  return timeout === undefined
    ? 'reused; the server promises nothing'
    : `reused; the server promises to keep it for ${inWords(timeout)}${most}`
}
