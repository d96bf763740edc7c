import type { EventEmitter } from 'node:events'
import { readFileSync } from 'node:fs'
import { Command, type Option } from 'commander'
import { command as demo } from './commands/demo/command.js'
import { command as doctor } from './commands/doctor/command.js'
import { command as explain } from './commands/explain/command.js'
import { command as exportMetrics } from './commands/export/command.js'
import { command as hops } from './commands/hops/command.js'
import { command as http } from './commands/http/command.js'
import { command as inspect } from './commands/inspect/command.js'
import { command as ls } from './commands/ls/command.js'
import { command as measure } from './commands/measure/command.js'
import { command as plan } from './commands/plan/command.js'
import { command as probe } from './commands/probe/command.js'
import { command as run } from './commands/run/command.js'
import { command as simulate } from './commands/simulate/command.js'
import { command as tune } from './commands/tune/command.js'
import { command as watch } from './commands/watch/command.js'
import { RepeatableOption } from './lib/command-options.js'
import { complainOfOutput, firstLine, isUnwritten } from './lib/terminal.js'
import { USAGE_ERROR } from './lib/usage.js'

const { version, description } = JSON.parse(
  readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
) as { version: string; description: string }

/** The commands in the order of `--help`. The code of each is loaded only when it runs. */
const groups = [
  { heading: 'Look at connections:', commands: [ls, doctor, inspect, watch, exportMetrics] },
  { heading: 'Act on connections:', commands: [probe, tune] },
  { heading: 'Plan settings:', commands: [plan, measure, explain, hops, http, simulate] },
  { heading: 'Run a program:', commands: [run, demo] },
]

const examples = `
Examples:
  deadpeer doctor --pid 4711                   what is wrong with a program's
                                               connections, and what fixes it
  deadpeer probe --port 5432 --kill            close connections whose peer is
                                               gone
  deadpeer run --profile cloud -- node app.js  protect a program without
                                               changing it`

/** The command line. */
export const program = new Command('deadpeer')
  .description(description)
  .version(version)
  .configureOutput({ outputError: (text, write) => write(`deadpeer: ${firstLine(text)}\n`) })
  .enablePositionalOptions()
  .commandsGroup('Help:')
  .helpCommand(true)
  .addHelpText('after', examples)
  .exitOverride(({ exitCode }) => {
    if (exitCode !== 0) process.exit(USAGE_ERROR)
    // After --help and --version the process ends before stdout reports an error.
    if (!isUnwritten()) process.exit(0)
    complainOfOutput(process.stdout.errored!)
    process.exit(USAGE_ERROR)
  })

for (const { heading, commands } of groups) {
  for (const command of commands) {
    program.addCommand(command.copyInheritedSettings(program).helpGroup(heading))
    for (const option of command.options) {
      if (!option.isBoolean() && !(option instanceof RepeatableOption)) acceptOnce(command, option)
    }
  }
}

/** Without this the last value would win silently. A Command is an EventEmitter, though its types do not say so; its own listener sets the value. */
function acceptOnce(command: Command, option: Option): void {
  ;(command as unknown as EventEmitter).prependListener(`option:${option.name()}`, () => {
    if (command.getOptionValueSource(option.attributeName()) !== 'cli') return
    command.error(`error: option '${option.flags}' is given twice`)
  })
}
