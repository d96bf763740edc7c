import { Command, Option } from 'commander'
import { timeOption } from '../../lib/command-options.js'
import { timeArgument, wholeNumberArgument } from '../../lib/number-argument.js'
import { run } from '../../lib/run.js'
import type { HttpCommandOptions } from './http.js'
import { proxyArgument } from './proxy-argument.js'

const upToADay = timeArgument({ min: 0, max: 86_400_000 })
const fromASecondToADay = timeArgument({ min: 1_000, max: 86_400_000 })
/** 0: any free port. */
const portsToListen = { min: 0, max: 65_535 }

export const command = new Command('http')
  .description('send two requests over one pool, and report whether the origin kept the connection')
  .argument('[url]')
  .option('--http1.0', 'use HTTP/1.0: two requests without Connection: keep-alive, then two with it')
  .option('--http1.1', 'do not offer HTTP/2')
  .addOption(timeOption('--idle <time>', 'time between the two requests', upToADay, 0))
  .addOption(
    timeOption('--timeout <time>', 'longest wait for each handshake and each response', upToADay, 10_000),
  )
  .addOption(
    new Option(
      '--find-timeout',
      'find out how long the origin keeps an idle connection, over HTTP/1.1',
    ).conflicts(['http1.0', 'idle']),
  )
  .addOption(
    timeOption('--up-to <time>', 'longest idle time that --find-timeout tries', fromASecondToADay, 300_000),
  )
  .option('--proxy <url>', 'send the requests through this HTTP proxy', proxyArgument)
  .addOption(
    new Option(
      '--serve <port>',
      'listen on this port of all addresses, as an origin that reports the hop-by-hop headers of each request',
    )
      .argParser(wholeNumberArgument(portsToListen))
      .conflicts(['http1.0', 'http1.1', 'idle', 'findTimeout', 'proxy', 'insecure']),
  )
  .option('-k, --insecure', 'accept any certificate')
  .option('--json', 'one JSON object; times in ms')
  .addHelpText(
    'after',
    `
If the origin is a deadpeer http --serve, the command reports what a proxy in between does: the hop-by-hop headers that it passes on, whether it keeps the connections on both sides open, whether a client would hang, and what to change.

  deadpeer http https://example.org/
  deadpeer http --find-timeout --up-to 10min https://example.org/
  deadpeer http --serve 8080                                      behind the proxy, until Ctrl-C
  deadpeer http http://proxy.example.org/                         in front of it
  deadpeer http --proxy http://proxy:3128 http://origin:8080/     through a forward proxy

Exit code: 0 if the connection was kept, or was closed as announced (Keep-Alive: timeout=); 1 if it was not kept, the origin does not respond, or there is an error or a warning; 2 for bad input.`,
  )
  .action((url: string | undefined, options: HttpCommandOptions) =>
    run(async () => (await import('./http.js')).httpCommand(url, options)),
  )
