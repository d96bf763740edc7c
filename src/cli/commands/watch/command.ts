import { Command } from 'commander'
import { addSelectionOptions, timeOption } from '../../lib/command-options.js'
import { timeArgument } from '../../lib/number-argument.js'
import { runInterruptible } from '../../lib/run.js'
import { samplingInterval } from '../../lib/sampling-interval.js'
import type { WatchCommandOptions } from './watch.js'

export const command = new Command('watch').description(
  'print one line for each change: a peer stops responding, responds again, or is dead, and why',
)

addSelectionOptions(command, 'only connections of this process; the command ends when the process ends')
  .addOption(timeOption('--every <time>', 'time between two samples', timeArgument(samplingInterval), 1_000))
  .option('--jsonl', 'one JSON object a line')
  .addHelpText(
    'after',
    `
In a terminal the command redraws a table in place; in a pipe it prints one line for each change. The events:
  suspect   a probe or data is unacknowledged
  recover   the peer has responded
  dead      the kernel has given up the connection: reason is keepalive, user-timeout or retransmission; isNoticed is false if the
            program still keeps it open
  gone      a suspect connection ended before the kernel gave it up: the peer reset it, or the local program closed it
  closing   the local program has closed a suspect connection
The command samples the kernel's list: connections that open and close between two samples are not counted. It changes no connection.

  deadpeer watch --pid 4711
  deadpeer watch --port 5432 --jsonl | jq -r 'select(.event == "dead")'

Exit code: 0 after the process has ended; 2 for bad input; 130 after Ctrl-C.`,
  )
  .action((prefix: string | undefined, options: WatchCommandOptions) =>
    runInterruptible(async (signal) =>
      (await import('./watch.js')).watchCommand({ ...options, prefix }, signal),
    ),
  )
