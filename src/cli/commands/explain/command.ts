import { Command } from 'commander'
import type { Profile } from '../../../index.js'
import { optionTable } from '../../../kernel/socket-options.js'
import { RepeatableOption } from '../../lib/command-options.js'
import { hopArgument } from '../../lib/hop-argument.js'
import { timeArgument } from '../../lib/number-argument.js'
import { profileArgument } from '../../lib/profile-argument.js'
import { run } from '../../lib/run.js'
import type { ExplainOptions } from './explain.js'

const { min, max, unit: step } = optionTable.userTimeout

export const command = new Command('explain')
  .description('print the detection times of a profile, and what it does not do')
  .argument(
    '<profile>',
    'initialDelay/interval/count as 60s/5s/3, or a preset: lan, datacenter, cloud, …',
    profileArgument,
  )
  .option('--user-timeout <time>', 'TCP_USER_TIMEOUT', timeArgument({ min, max, step }))
  .addOption(
    new RepeatableOption('--hop <hop>', 'a hop on the path, as for plan; repeatable').argParser(hopArgument),
  )
  .option('--json', 'one JSON object; times in ms, null means never')
  .addHelpText('after', '\nExit code: 0; 1 if there is a warning or an error; 2 for bad input.')
  .action((profile: Profile, options: ExplainOptions) =>
    run(async () => (await import('./explain.js')).explainCommand(profile, options)),
  )
