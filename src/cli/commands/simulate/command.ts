import { Command, Option } from 'commander'
import { heartbeatInterval, probeAttempts, probeTimeout, shares } from '../../../options/ranges.js'
import { timeOption } from '../../lib/command-options.js'
import { numberArgument, timeArgument, wholeNumberArgument } from '../../lib/number-argument.js'
import { profileArgument } from '../../lib/profile-argument.js'
import { run } from '../../lib/run.js'
import type { SimulateOptions } from './simulate.js'

const share = numberArgument(shares)
const upToASecond = timeArgument({ min: 0, max: 1_000 })

export const command = new Command('simulate')
  .description('estimate the cost and the detection times of a heartbeat, without opening connections')
  .option(
    '--connections <number>',
    'number of connections',
    wholeNumberArgument({ min: 0, max: 1e7 }),
    10_000,
  )
  .option('--busy <share>', 'share of connections whose peer sends more often than --every', share, 0.5)
  .addOption(
    timeOption('--every <time>', 'interval of the heartbeat', timeArgument(heartbeatInterval), 5_000),
  )
  .addOption(timeOption('--timeout <time>', 'how long each attempt waits', timeArgument(probeTimeout), 300))
  .option(
    '--attempts <number>',
    'unacknowledged probes until a peer is declared dead',
    wholeNumberArgument(probeAttempts),
    3,
  )
  .addOption(
    new Option(
      '--profile <profile>',
      "the kernel's own keepalive: a preset, 30s/10s/3, or none; default: none",
    ).argParser((text) => (text === 'none' ? undefined : profileArgument(text))),
  )
  .option('--loss <share>', 'share of probes that are lost, or whose acknowledgement is lost', share, 0.001)
  .addOption(timeOption('--rtt <time>', 'round-trip time', timeArgument({ min: 0, max: 60_000 }), 20))
  .option('--hours <number>', 'duration', numberArgument({ min: 0, max: 1e6 }), 24)
  .option('--deaths <number>', 'peers that vanish in an hour', numberArgument({ min: 0, max: 1e6 }), 100)
  .option(
    '--seed <number>',
    'seed of the random numbers',
    wholeNumberArgument({ min: 0, max: 2 ** 32 - 1 }),
    1,
  )
  .option('--probe-cost <time>', 'CPU time of a probe, such as 20us; default: measured here', upToASecond)
  .option('--look-cost <time>', 'CPU time of a sample; default: measured here', upToASecond)
  .option('--json', 'one JSON object, in ms and µs; cpu is the share of a core')
  .addHelpText(
    'after',
    `
docs/heartbeat.md explains the model and its limits.

Exit code: 0; 2 for a bad option.`,
  )
  .action((options: SimulateOptions) => run(async () => (await import('./simulate.js')).simulate(options)))
