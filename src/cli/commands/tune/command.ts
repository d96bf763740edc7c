import { Command } from 'commander'
import { type OptionName, optionTable } from '../../../kernel/socket-options.js'
import { addJsonOptions, addSelectionOptions } from '../../lib/command-options.js'
import { timeArgument, wholeNumberArgument } from '../../lib/number-argument.js'
import { profileArgument } from '../../lib/profile-argument.js'
import { runInterruptible } from '../../lib/run.js'
import type { TuneCommandOptions } from './tune.js'

export const command = new Command('tune').description(
  "set options of a running program's connections, without a restart",
)

addSelectionOptions(command)
  .option(
    '--profile <profile>',
    'a preset: lan, datacenter, cloud, …; or initialDelay/interval/count as 60s/5s/3',
    profileArgument,
  )
  .option('--off', 'turn keepalive off: SO_KEEPALIVE')
  .option('--idle <time>', 'idle time before the first probe: TCP_KEEPIDLE', timeOf('initialDelay'))
  .option('--interval <time>', 'time between two unacknowledged probes: TCP_KEEPINTVL', timeOf('interval'))
  .option(
    '--count <n>',
    'unacknowledged probes until the kernel gives up: TCP_KEEPCNT',
    wholeNumberArgument(optionTable.count),
  )
  .option(
    '--user-timeout <time>',
    'how long data or a probe may be unacknowledged: TCP_USER_TIMEOUT; 0s is off',
    timeOf('userTimeout'),
  )
  .option('--dry-run', 'show what would be set, left out or refused; change nothing and probe no peer')
  .option('--yes', 'change more than one process without asking')

addJsonOptions(command, 'one JSON array with the options before and after; times in ms')
  .addHelpText(
    'after',
    `
Options that are not given stay as they are. If the kernel refuses an option, or after Ctrl-C, the command restores the previous options of all connections. Tuning ends no connection: the command writes a value that could end an idle connection only after the peer responds. Otherwise it leaves the value out, and says so. Connections that are opened later are not affected.

  deadpeer tune --pid 4711 --profile cloud --dry-run
  deadpeer tune --pid 4711 --port 5432 --idle 60s --interval 5s --count 3 --user-timeout 75s
  deadpeer tune 10.1.0.0/16 --profile datacenter --yes
  deadpeer tune --pid 4711 --off --user-timeout 2m

Exit code: 0; 1 if not everything could be set; 2 for bad input, or without permission; 130 after Ctrl-C.`,
  )
  .action((prefix: string | undefined, options: TuneCommandOptions) =>
    runInterruptible(async (signal) =>
      (await import('./tune.js')).tuneCommand({ ...options, prefix }, signal),
    ),
  )

function timeOf(name: OptionName): (text: string) => number {
  const { min, max, unit } = optionTable[name]
  return timeArgument({ min, max, step: unit })
}
