import { setTimeout as delay } from 'node:timers/promises'
import { inWords } from '../../../path/in-words.js'
import { writeFindings } from '../../lib/findings.js'
import { withProgress } from '../../lib/progress.js'
import { complain, firstLine, paint, write } from '../../lib/terminal.js'
import { Misuse } from '../../lib/usage.js'
import { CutOff, type Exchange, promiseOf } from './exchange.js'
import { exchangeByHttp1, type Wording } from './http1.js'
import { exchangeByHttp2 } from './http2.js'
import { type HttpFinding, judgeExchanges } from './judge.js'
import { type Opened, Opener } from './opening.js'

export interface HttpCommandOptions {
  readonly 'http1.0'?: boolean
  readonly 'http1.1'?: boolean
  readonly idle: number
  readonly insecure?: boolean
  readonly json?: boolean
  readonly timeout: number
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

/** Prints whether an origin keeps connections. Returns the exit code: 1 if it does not keep them or does not respond. */
export async function httpCommand(text: string, options: HttpCommandOptions): Promise<number> {
  const url = parse(text)
  const wordings: Wording[] = options['http1.0'] ? ['1.0', '1.0 keep-alive'] : ['1.1']
  const runs: Run[] = []
  try {
    await withProgress(`requesting ${url.origin}`, async () => {
      for (const wording of wordings) runs.push(await run(url, wording, options))
    })
  } catch (error) {
    const what =
      error instanceof CutOff ? 'ended the connection in the middle of a response' : 'does not respond'
    complain(
      `${url.origin} ${what}: ${firstLine((error as Error).message || (error as NodeJS.ErrnoException).code!)}`,
    )
    return 1
  }
  if (options.json) write(JSON.stringify({ url: url.href, runs }, undefined, 2))
  else for (const each of runs) show(each)
  return runs.some(({ findings }) => findings.some(({ severity }) => severity !== 'note')) ? 1 : 0
}

/** @throws {@link Misuse} for anything but http and https. */
function parse(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return url
  throw new Misuse(`<url> must be an http or https URL such as https://example.org/; got '${text}'`)
}

async function run(url: URL, wording: Wording, options: HttpCommandOptions): Promise<Run> {
  const { idle, timeout, insecure = false } = options
  const alpn =
    options['http1.1'] || wording !== '1.1'
      ? [wording === '1.1' ? 'http/1.1' : 'http/1.0']
      : ['h2', 'http/1.1']
  const opener = new Opener(url, { alpn, insecure, timeout })
  const first = await opener.open()
  const isHttp2 = opener.opened[0]!.tls?.alpn === 'h2'
  const pause = async () => void (idle > 0 && (await delay(idle)))
  const requests = isHttp2
    ? await exchangeByHttp2(url, opener, first, { pause, timeout })
    : await exchangeByHttp1(url, opener, first, { wording, pause, timeout })
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
