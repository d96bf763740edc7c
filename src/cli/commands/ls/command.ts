import { Command } from 'commander'
import { addJsonOptions, addSelectionOptions, RepeatableOption } from '../../lib/command-options.js'
import { runInterruptible } from '../../lib/run.js'
import type { LsCommandOptions } from './ls.js'
import { stateArgument } from './state-argument.js'

export const command = new Command('ls').description(
  "list the host's TCP connections, those in trouble first: timers, unanswered probes, last heard, verdict",
)

addSelectionOptions(command)
  .addOption(
    new RepeatableOption(
      '--state <state>',
      'only this state; repeatable: established, listen, …, or all; default: as ss -t',
    ).argParser(stateArgument),
  )
  .option('--suspect', 'only connections with the verdict suspect: a probe or data is unacknowledged')
  .option(
    '--options',
    'show keepalive (initialDelay/interval/count) and user timeout; ? if this user may not read them',
  )

addJsonOptions(command, 'one JSON array; times in ms')
  .addHelpText(
    'after',
    `
TIMER is the kernel's timer, the time until it fires, and how often it has fired without an acknowledgement (×n). PROBES counts
unacknowledged probes. RETRANS counts retransmissions: unacknowledged now / in total. HEARD is the time since the peer's last segment.
VERDICT is suspect when a probe or data is unacknowledged. VERDICT is unknown when the peer was not heard for 60 s and acknowledged no probe for 5 minutes.

  deadpeer ls --suspect                      connections whose peer does not respond
  deadpeer ls --pid 4711 --options           the options of a program's connections, which ss does not show
  deadpeer ls 10.0.0.0/8 --port 5432 --jsonl | jq -r 'select(.silentFor > 60000) | .remote.address'

Exit code: 0; 2 for bad input; 130 after Ctrl-C.`,
  )
  .action((prefix: string | undefined, options: LsCommandOptions) =>
    runInterruptible(async (signal) => (await import('./ls.js')).lsCommand({ ...options, prefix }, signal)),
  )
