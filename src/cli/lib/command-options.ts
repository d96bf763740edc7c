import { type Command, Option } from 'commander'
import { ports, processIds } from '../../options/ranges.js'
import { shortTime } from './format-socket.js'
import { wholeNumberArgument } from './number-argument.js'

/** An option that may be given several times. Any other option that is given twice is an error. */
export class RepeatableOption extends Option {}

/** Adds the argument and the options that say which connections a command is about: a `Selection`. */
export function addSelectionOptions(
  command: Command,
  ofProcess = 'only connections of this process',
): Command {
  return command
    .argument(
      '[prefix]',
      'only connections with this address at either end: 10.0.0.1, 10.0.0.0/8, 2001:db8::/32',
    )
    .option('--pid <pid>', ofProcess, wholeNumberArgument(processIds))
    .option('--port <port>', 'only connections with this port at either end', wholeNumberArgument(ports))
}

/** Adds `--json` and `--jsonl`, which exclude each other. */
export function addJsonOptions(command: Command, description: string): Command {
  return command
    .option('--json', description)
    .addOption(new Option('--jsonl', 'one JSON object a line').conflicts('json'))
}

/** An option that takes a time. `--help` shows the default with its unit, as it is typed. */
export function timeOption(
  flags: string,
  description: string,
  parse: (text: string) => number,
  ms: number,
): Option {
  return new Option(flags, description).argParser(parse).default(ms, ms === 0 ? '0s' : shortTime(ms))
}
