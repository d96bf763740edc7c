import { Command } from 'commander'
import { probeAttempts, probeTimeout } from '../../../options/ranges.js'
import { addJsonOptions, addSelectionOptions, timeOption } from '../../lib/command-options.js'
import { timeArgument, wholeNumberArgument } from '../../lib/number-argument.js'
import { runInterruptible } from '../../lib/run.js'
import type { ProbeCommandOptions } from './probe.js'

export const command = new Command('probe').description(
  'probe the peer of each connection now, and print which peers respond',
)

addSelectionOptions(command)
  .option(
    '--attempts <n>',
    'unacknowledged probes until a peer counts as unresponsive',
    wholeNumberArgument(probeAttempts),
    3,
  )
  .addOption(
    timeOption(
      '--timeout <time>',
      'how long each attempt waits for an acknowledgement',
      timeArgument(probeTimeout),
      300,
    ),
  )
  .addOption(
    timeOption(
      '--wait <time>',
      'after the results, longest wait before the options of connections with unresponsive peers are restored; 0s: no wait',
      timeArgument({ min: 0, max: 86_400_000 }),
      60_000,
    ),
  )
  .option('--kill', 'close the connections whose peer is unresponsive (SOCK_DESTROY); requires CAP_NET_ADMIN')
  .option(
    '--unproven',
    'count a peer as unresponsive even if its connection has never acknowledged a probe; with --kill this can end live connections',
  )
  .option('--yes', 'close them without asking')

addJsonOptions(command, 'one JSON array; times in ms; alive is null if it is not known')
  .addHelpText(
    'after',
    `
Sends a keepalive probe on each connection. The probe has no payload, and the application does not see it. If the peer acknowledges it, the
command restores the options at once. If not, the kernel counts the probe with its own. So on a connection with keepalive, the command raises
the count (or the user timeout) until the peer responds or the connection ends. The connection ends when it would have without the probe.
The command prints all results. It then waits until it can restore all options, and says so on stderr. After --wait or Ctrl-C it restores them
at once. Such a connection may then end sooner, by one interval for each attempt.

Some paths pass data but no probes. If a connection acknowledges no probe, and is not known to have
acknowledged one before, the command lists it as unproven: its peer may be alive. --kill does not close it, unless you pass --unproven.

  deadpeer probe --pid 4711                  all connections of a program
  deadpeer probe --port 5432                 all connections of the host with port 5432 at either end
  deadpeer probe 10.1.2.0/24 --kill          close the connections to a rack that has lost power

Exit code: 0 if all peers respond; 1 if some do not; 2 for bad input, or if no connection may be probed; 130 after Ctrl-C.`,
  )
  .action((prefix: string | undefined, options: ProbeCommandOptions) =>
    runInterruptible(async (signal) =>
      (await import('./probe.js')).probeCommand({ ...options, prefix }, signal),
    ),
  )
