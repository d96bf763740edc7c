#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { Command } from 'commander'
import type { SimulateOptions } from './simulate.js'
import { firstLine } from './terminal.js'

/** As grep and most others have it: 1 is an answer, 2 is a misunderstanding. */
const USAGE_ERROR = 2

const { version, description } = JSON.parse(
  readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
) as { version: string; description: string }

const program = new Command('deadpeer')
  .description(description)
  .version(version)
  .configureOutput({ outputError: (text, write) => write(`deadpeer: ${firstLine(text)}\n`) })
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : USAGE_ERROR))

// Each command's code is loaded when it is asked for, so that none pays for the others.

program
  .command('demo')
  .description('show what happens to six connections when their peers vanish; takes about 14 s')
  .option('--json', 'one JSON object a line')
  .addHelpText(
    'after',
    `
With --json each line has t (ms since the peers went silent), event, and for most a connection: untouched,
setKeepAlive, backpressured, lan, kernel or heartbeat. Times are in ms; a predicted time of null is never. The events:
  open      label, profile (read back from the kernel), predicted
  silence   every peer has gone silent
  probe     unanswered: keepalive probes that the kernel has had no answer to
  death     noticed (by Node: false is a zombie), error, predicted, actual (ms since the peer was last heard)
  vanished  connections and vanished: of a pool of other connections, so many have lost their peer
  asked     one probeAll to all of them: took, answered, wrong, untouched, and of each silent one
            port, evidence, attempts, idleFor
  noticed   error; after a death that had not been noticed, actual
  waiting   the connection is still open at the end
  summary   the last line: ok, failures, and of each connection its state (dead, zombie or open)

Exit code: 0 when every connection that is looked after died as predicted and the pool was told apart, else 1; 2 for a bad option; 130 after Ctrl-C.`,
  )
  .action(async (options: { json?: boolean }) => {
    const { demo } = await import('./demo.js')
    process.exitCode = await demo({ json: options.json === true })
  })

program
  .command('simulate')
  .description('what a heartbeat costs and finds, for connections that are not there yet')
  .option('--connections <number>', 'how many', '10000')
  .option('--busy <share>', 'of them are heard more often than every', '0.5')
  .option('--every <ms>', 'of the heartbeat', '5000')
  .option('--timeout <ms>', 'of the heartbeat', '300')
  .option('--attempts <number>', 'of the heartbeat', '3')
  .option('--profile <name>', "the kernel's own keepalive: a preset, 30/10/3 (seconds), or none", 'none')
  .option('--loss <share>', 'of questions whose probe or answer is lost', '0.001')
  .option('--rtt <ms>', 'round trip', '20')
  .option('--hours <number>', 'for how long', '24')
  .option('--deaths <number>', 'peers that vanish in an hour', '100')
  .option('--seed <number>', 'of chance', '1')
  .option('--probe-cost <µs>', 'of processor time; measured here where it is not given')
  .option('--look-cost <µs>', 'the same')
  .option('--json', 'one JSON object, in ms and µs; cpu is the share of a core')
  .addHelpText(
    'after',
    `
docs/heartbeat.md explains the model, and what it leaves out.

Exit code: 0; 2 for a bad option.`,
  )
  .action(async (options: SimulateOptions) => {
    const { simulate } = await import('./simulate.js')
    process.exitCode = await simulate(options)
  })

if (process.argv.length <= 2) program.help()
await program.parseAsync()
