import { Command } from 'commander'
import { timeOption } from '../../lib/command-options.js'
import { timeArgument } from '../../lib/number-argument.js'
import { run } from '../../lib/run.js'
import type { HttpCommandOptions } from './http.js'

const upToADay = timeArgument({ min: 0, max: 86_400_000 })

export const command = new Command('http')
  .description('send two requests over one pool, and report whether the origin kept the connection')
  .argument('<url>')
  .option('--http1.0', 'use HTTP/1.0: two requests without Connection: keep-alive, then two with it')
  .option('--http1.1', 'do not offer HTTP/2')
  .addOption(timeOption('--idle <time>', 'time between the two requests', upToADay, 0))
  .addOption(
    timeOption('--timeout <time>', 'longest wait for each handshake and each response', upToADay, 10_000),
  )
  .option('-k, --insecure', 'accept any certificate')
  .option('--json', 'one JSON object; times in ms')
  .addHelpText(
    'after',
    '\nExit code: 0 if the connection was kept, or was closed as announced (Keep-Alive: timeout=); 1 if it was not kept, or the origin does not respond; 2 for bad input.',
  )
  .action((url: string, options: HttpCommandOptions) =>
    run(async () => (await import('./http.js')).httpCommand(url, options)),
  )
