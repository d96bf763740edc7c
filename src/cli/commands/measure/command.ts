import { Command } from 'commander'
import { idleTimes, measuringConnections, ports } from '../../../options/ranges.js'
import { timeOption } from '../../lib/command-options.js'
import { timeArgument, wholeNumberArgument } from '../../lib/number-argument.js'
import { runInterruptible } from '../../lib/run.js'
import { type DestinationArgument, destinationArgument } from './destination-argument.js'
import type { MeasureCommandOptions } from './measure.js'

export const command = new Command('measure')
  .description('measure how long a path keeps idle connections, and what it does with keepalive probes')
  .argument('[destination]', 'HOST:PORT; an IPv6 address is in brackets', destinationArgument)
  .option(
    '--listen <port>',
    'measure from the listening side; run deadpeer measure HOST:PORT at the other end',
    wholeNumberArgument(ports),
  )
  .addOption(
    timeOption(
      '--up-to <time>',
      'the longest idle time to try',
      timeArgument({ ...idleTimes, step: 1 }),
      600_000,
    ),
  )
  .option(
    '--connections <n>',
    'how many connections are idle at the same time',
    wholeNumberArgument(measuringConnections),
    12,
  )
  .option('--tls', 'open TLS on each connection; the certificate is not checked')
  .option('--http', 'send a HEAD request on each connection first, so that an HTTP server keeps it')
  .option('--json', 'one JSON object; times in ms')
  .addHelpText(
    'after',
    `
Opens connections of its own, leaves each idle for a different time, probes it and half-closes it. Whether the FIN is acknowledged tells
whether the connection still existed. Takes up to four times the limit, or --up-to if there is none. Ctrl-C prints what is known so far.

  deadpeer measure db.example.com:5432                     the limit of a path, from this side
  deadpeer measure --listen 7000                           from the other side: some NATs have a limit for one side only
  deadpeer measure example.com:443 --tls --http --json >path.json
  deadpeer plan --hop @path.json                           the settings for that path

Exit code: 0 if the measurement is complete; 1 if it is not; 2 for bad input, or if no connection can be opened; 130 after Ctrl-C.`,
  )
  .action((destination: DestinationArgument | undefined, options: MeasureCommandOptions) =>
    runInterruptible(async (signal) =>
      (await import('./measure.js')).measureCommand(
        { ...options, ...(destination && { destination }) },
        signal,
      ),
    ),
  )
