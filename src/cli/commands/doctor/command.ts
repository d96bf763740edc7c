import { Command } from 'commander'
import { addSelectionOptions, RepeatableOption, timeOption } from '../../lib/command-options.js'
import { hopArgument } from '../../lib/hop-argument.js'
import { timeArgument } from '../../lib/number-argument.js'
import { runInterruptible } from '../../lib/run.js'
import { samplingInterval } from '../../lib/sampling-interval.js'
import type { DoctorCommandOptions } from './doctor.js'

export const command = new Command('doctor').description(
  'find connections that cannot detect a dead peer, have an unresponsive peer, or leak; print commands that fix them',
)

addSelectionOptions(command)
  .addOption(
    new RepeatableOption('--hop <hop>', 'a hop on the path, as for plan; repeatable').argParser(hopArgument),
  )
  .addOption(
    timeOption(
      '--over <time>',
      'time between the two samples that show which connections stay in CLOSE-WAIT or behind a closed window, and which receive data while probes are unanswered',
      timeArgument(samplingInterval),
      2_000,
    ),
  )
  .option(
    '--json',
    'one JSON object: counts of connections, of those read and not read, the reasons, verdicts and findings',
  )
  .addHelpText(
    'after',
    `
An error means that connections hang or will hang. A warning means that they may. A note is information, such as an option that Node sets by default.
Each finding names what is at fault: your program, the peer, the path, the system or Node. It ends with a command that fixes the problem or
lists the affected connections. Without a port or a prefix, doctor also searches for connections that the kernel has given up and the program keeps open (code: zombie).

  deadpeer doctor --pid 4711 --hop aws-nlb
  sudo deadpeer doctor --hop home-router --hop edge=30s@7

Exit code: 0 if nothing is wrong, or there are only notes; 1 if there is an error or a warning; 2 for bad input, or if nothing could be examined;
130 after Ctrl-C. If some connections could not be read, the message "nothing is wrong" says how many it covers.`,
  )
  .action((prefix: string | undefined, options: DoctorCommandOptions) =>
    runInterruptible(async (signal) =>
      (await import('./doctor.js')).doctorCommand({ ...options, prefix }, signal),
    ),
  )
