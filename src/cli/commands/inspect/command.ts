import { Command } from 'commander'
import { runInterruptible } from '../../lib/run.js'
import { type ConnectionName, connectionArgument } from './connection-argument.js'

export const command = new Command('inspect')
  .description(
    'show one connection: options, counters, verdict with its evidence, and when it ends if the peer is gone',
  )
  .argument(
    '<connection>',
    '<pid>:<fd>, <local>-<remote>, or a port that only one connection has',
    connectionArgument,
  )
  .option(
    '--json',
    "one JSON object; times in ms, except in info, which has the kernel's units; null means never",
  )
  .addHelpText(
    'after',
    `
  deadpeer inspect 4711:23
  deadpeer inspect 10.0.0.1:41234-10.0.0.2:5432
  deadpeer inspect '[::1]:41234-[::1]:5432' --json

If the kernel has given up a connection that its program keeps open, pass <pid>:<fd>. The kernel no longer lists the addresses of such a connection.

Exit code: 0; 1 if the peer does not respond or is gone; 2 for bad input; 130 after Ctrl-C.`,
  )
  .action((connection: ConnectionName, options: { json?: boolean }) =>
    runInterruptible(async (signal) =>
      (await import('./inspect.js')).inspectCommand(connection, options, signal),
    ),
  )
