import { Command } from 'commander'
import { RepeatableOption } from '../../lib/command-options.js'
import { hopArgument } from '../../lib/hop-argument.js'
import { timeArgument, wholeNumberArgument } from '../../lib/number-argument.js'
import { run } from '../../lib/run.js'
import type { PlanCommandOptions } from './plan.js'

const positiveTime = timeArgument({ min: Number.MIN_VALUE })

export const command = new Command('plan')
  .description('compute what to set on a path: keepalive, user timeout and the matching HTTP timeouts')
  .addOption(
    new RepeatableOption(
      '--hop <hop>',
      'a hop on the path, in order from the client; repeatable. A name from deadpeer hops, or name=time as nat=350s. edge=30s@7 is your own HTTP proxy; edge=30s/60s@7 also keeps connections to the server for 60s. @file.json is what deadpeer measure --json printed',
    )
      .argParser(hopArgument)
      .makeOptionMandatory(),
  )
  .option('--within <time>', 'how soon to notice a dead peer: 30s, 5m, 1500ms', positiveTime)
  .option('--connections <n>', 'number of connections', wholeNumberArgument({ min: 1 }))
  .option('--every <time>', 'the peer sends something at least this often', positiveTime)
  .option('--stall <time>', 'how long a live peer may stop reading', positiveTime)
  .option('--svg <file>', 'draw the plan to this file')
  .option('--json', 'one JSON object; times in ms, null means never')
  .addHelpText(
    'after',
    '\nExit code: 0; 1 if the path does not allow a value that you request; 2 for bad input.',
  )
  .action((options: PlanCommandOptions) => run(async () => (await import('./plan.js')).planCommand(options)))
