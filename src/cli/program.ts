import type { EventEmitter } from 'node:events'
import { readFileSync } from 'node:fs'
import { Command, InvalidArgumentError, Option } from 'commander'
import type { SimulateOptions } from './commands/simulate.js'
import { type ConnectionName, connectionArgument } from './lib/connection-argument.js'
import { duration } from './lib/duration.js'
import { hopArgument } from './lib/hop-argument.js'
import { interruptible } from './lib/interrupt.js'
import { DEFAULT_LISTEN, listenArgument } from './lib/listen-argument.js'
import { profileArgument, profileTextArgument } from './lib/profile-argument.js'
import {
  attemptsArgument,
  attemptTimeoutArgument,
  everyArgument,
  numberArgument,
  pauseArgument,
  pidArgument,
  portArgument,
  processArgument,
  stateArgument,
  timeWithin,
} from './lib/selection-argument.js'
import { endWords, shortTime } from './lib/socket-words.js'
import { complainOfOutput, firstLine, isUnwritten } from './lib/terminal.js'
import { orUsageError, USAGE_ERROR } from './lib/usage.js'

const { version, description } = JSON.parse(
  readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
) as { version: string; description: string }

/** The command line: what may be said, and what each word means. */
export const program = new Command('deadpeer')
  .description(description)
  .version(version)
  .configureOutput({ outputError: (text, write) => write(`deadpeer: ${firstLine(text)}\n`) })
  .enablePositionalOptions()
  .exitOverride(({ exitCode }) => {
    if (exitCode !== 0) process.exit(USAGE_ERROR)
    // --help and --version: the process ends before stdout can say so.
    if (!isUnwritten()) process.exit(0)
    complainOfOutput(process.stdout.errored!)
    process.exit(USAGE_ERROR)
  })

// Each command's code is loaded when it is asked for, so that none pays for the others.

program
  .command('demo')
  .description('show what happens to seven connections when their peers vanish; takes about 14 s')
  .option('--json', 'one JSON object a line')
  .addHelpText(
    'after',
    `
With --json each line has t (ms since the peers went silent), event, and for most a connection: untouched,
setKeepAlive, backpressured, watched, lan, kernel or heartbeat. Times are in ms; a predicted time of null is never. The events:
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
    const { demo } = await import('./commands/demo.js')
    process.exitCode = await demo({ json: options.json === true })
  })

program
  .command('ls')
  .description("the host's TCP connections, trouble first: timers, unanswered probes, last heard, verdict")
  .argument('[prefix]', 'of either end: an address, or 10.0.0.0/8, 2001:db8::/32')
  .option('--pid <pid>', 'of this process', pidArgument)
  .option('--port <port>', 'of either end', portArgument)
  .option(
    '--state <state>',
    'once for each: established, listen, …, or all; default: as ss -t',
    stateArgument,
  )
  .option('--suspect', 'only those whose verdict is suspect: something is unanswered')
  .option(
    '--options',
    'keepalive (idle/interval/count) and user timeout of each, where permitted; ? where not',
  )
  .option('--json', 'one JSON array; times in ms')
  .addOption(new Option('--jsonl', 'one JSON object a line').conflicts('json'))
  .addHelpText(
    'after',
    `
TIMER is what the kernel waits for, in how long, and ×n what it has done in vain. PROBES are unanswered. RETRANS are
those unanswered now / ever. HEARD is the time since the peer was last heard. VERDICT is suspect if something is unanswered, unknown if the peer was not
heard for 60 s and acknowledged no probe for 5 minutes.

  deadpeer ls --suspect                      who does not answer
  deadpeer ls --pid 4711 --options           what a program has set, which ss does not show
  deadpeer ls 10.0.0.0/8 --port 5432 --jsonl | jq -r 'select(.silentFor > 60000) | .remote.address'

Exit code: 0; 2 for bad input; 130 after Ctrl-C.`,
  )
  .action((prefix: string | undefined, options) =>
    run(async (signal) => (await import('./commands/ls.js')).lsCommand({ ...options, prefix }, signal)),
  )

program
  .command('inspect')
  .description(
    'one connection: options, counters, verdict with its evidence, and when it ends if the peer is gone',
  )
  .argument(
    '<connection>',
    '<pid>:<fd>, <local>-<remote>, or a port that one connection has',
    connectionArgument,
  )
  .option('--json', 'one JSON object; times in ms, but in info as the kernel has them; null is never')
  .addHelpText(
    'after',
    `
  deadpeer inspect 4711:23
  deadpeer inspect 10.0.0.1:41234-10.0.0.2:5432
  deadpeer inspect '[::1]:41234-[::1]:5432' --json

A connection that the kernel has given up, and its program keeps open all the same, is found by <pid>:<fd>.

Exit code: 0; 1 where the peer does not answer, or is gone; 2 for bad input; 130 after Ctrl-C.`,
  )
  .action((connection: ConnectionName, options) =>
    run(async (signal) =>
      (await import('./commands/inspect.js')).inspectCommand(connection, options, signal),
    ),
  )

program
  .command('probe')
  .description('which of these connections are dead right now: asks every peer, in one round trip')
  .argument('[prefix]', 'of either end: an address, or 10.0.0.0/8, 2001:db8::/32')
  .option('--pid <pid>', 'of this process', pidArgument)
  .option('--port <port>', 'of either end', portArgument)
  .option('--attempts <n>', 'how often each is asked until it is called silent', attemptsArgument, 3)
  .addOption(timeOption('--timeout <time>', 'how long each attempt waits', attemptTimeoutArgument, 300))
  .addOption(
    timeOption(
      '--wait <time>',
      'how long to stay, once the answers are told, until silent ones may have their options back; 0s: not at all',
      pauseArgument,
      60_000,
    ),
  )
  .option('--kill', 'closes the silent ones (SOCK_DESTROY); takes CAP_NET_ADMIN')
  .option('--yes', 'does not ask before that')
  .option('--json', 'one JSON array; times in ms; alive is null where it is not known')
  .addOption(new Option('--jsonl', 'one JSON object a line').conflicts('json'))
  .addHelpText(
    'after',
    `
Sends a keepalive probe on each, below the application, without a byte of payload. A connection that answers has felt nothing, and has
its options back. Of one that stays silent the kernel has counted these probes with its own. So where it has keepalive, its count (or
user timeout) stays raised by as much until the peer answers, or the connection ends by its own clock, no sooner and no later than
unasked. For that the command stays, after it has told all answers, and says so on stderr. After --wait, or Ctrl-C, it puts the
options back: the connection may end sooner then, by an interval for each attempt.

  deadpeer probe --pid 4711                  all connections of a program
  deadpeer probe --port 5432                 all of the host to a database, or of the database
  deadpeer probe 10.1.2.0/24 --kill          a rack has lost its power: closes what is open to it

Exit code: 0 where all have answered; 1 where some have not; 2 for bad input, or where none may be asked; 130 after Ctrl-C.`,
  )
  .action((prefix: string | undefined, options) =>
    run(async (signal) => (await import('./commands/probe.js')).probeCommand({ ...options, prefix }, signal)),
  )

program
  .command('tune')
  .description("sets a running program's connections, without restarting it")
  .argument('[prefix]', 'of either end: an address, or 10.0.0.0/8, 2001:db8::/32')
  .option('--pid <pid>', 'of this process', pidArgument)
  .option('--port <port>', 'of either end', portArgument)
  .option(
    '--profile <profile>',
    'a preset: lan, datacenter, cloud, …; or idle/interval/count as 60s/5s/3',
    profileArgument,
  )
  .option('--idle <time>', 'silence before the first probe: TCP_KEEPIDLE', duration)
  .option('--interval <time>', 'between two unanswered probes: TCP_KEEPINTVL', duration)
  .option('--count <n>', 'unanswered probes until it is given up: TCP_KEEPCNT', whole)
  .option(
    '--user-timeout <time>',
    'how long data or a probe may be unacknowledged: TCP_USER_TIMEOUT; 0s is off',
    duration,
  )
  .option('--dry-run', 'shows what would be set, left out or refused; changes nothing and asks no peer')
  .option('--yes', 'does not ask before it changes more than one process')
  .option('--json', 'one JSON array of what was before and after; times in ms')
  .addOption(new Option('--jsonl', 'one JSON object a line').conflicts('json'))
  .addHelpText(
    'after',
    `
What is not given stays as it is. All or none: where one is refused, or after Ctrl-C, all have what they had. No connection ends of
it: what could end one whose peer has long been silent is written once the peer has answered, or left out and said so. Connections that
are opened later are not affected.

  deadpeer tune --pid 4711 --profile cloud --dry-run
  deadpeer tune --pid 4711 --port 5432 --idle 60s --interval 5s --count 3 --user-timeout 75s
  deadpeer tune 10.1.0.0/16 --profile datacenter --yes

Exit code: 0; 1 where not all could be set; 2 for bad input, or where it is not permitted; 130 after Ctrl-C.`,
  )
  .action((prefix: string | undefined, options) =>
    run(async (signal) => (await import('./commands/tune.js')).tuneCommand({ ...options, prefix }, signal)),
  )

program
  .command('doctor')
  .description(
    'find connections that cannot notice a death, that their peer does not answer, or that leak; print commands that fix them',
  )
  .argument('[prefix]', 'of either end: an address, or 10.0.0.0/8, 2001:db8::/32')
  .option('--pid <pid>', 'of this process', pidArgument)
  .option('--port <port>', 'of either end', portArgument)
  .option('--hop <hop>', 'what stands between, as for plan: once for each', hopArgument)
  .addOption(
    timeOption(
      '--over <time>',
      'time between the two samples that show which connections stay in CLOSE-WAIT or behind a closed window',
      everyArgument,
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
An error: connections hang, or will. A warning: they may. A note: good to know, such as an option that the process's version of Node sets by
default (doctor reads the version from the binary). Each finding names the party at fault (your program, the peer, the path, the system or Node) and
ends with a command that fixes the problem, or lists the affected connections. Without a port or a prefix, doctor also searches for zombies: connections
that the kernel has given up and the program keeps open.

  deadpeer doctor --pid 4711 --hop aws-nlb
  sudo deadpeer doctor --hop home-router --hop edge=30s@7

Exit code: 0 if nothing is wrong, or there are only notes; 1 if there is an error or a warning; 2 for bad input, or if nothing could be examined;
130 after Ctrl-C. If some connections could not be read, "nothing is wrong" says how many it covers.`,
  )
  .action((prefix: string | undefined, options) =>
    run(async (signal) =>
      (await import('./commands/doctor.js')).doctorCommand({ ...options, prefix }, signal),
    ),
  )

program
  .command('watch')
  .description('a line per change: who stops answering, who answers again, who has died, and of what')
  .argument('[prefix]', 'of either end: an address, or 10.0.0.0/8, 2001:db8::/32')
  .option('--pid <pid>', 'of this process; ends with it', pidArgument)
  .option('--port <port>', 'of either end', portArgument)
  .addOption(timeOption('--every <time>', 'how often to look', everyArgument, 1_000))
  .option('--jsonl', 'one JSON object a line')
  .addHelpText(
    'after',
    `
In a terminal a table, redrawn in place; piped, a line per change. The events:
  suspect   a probe, or data, is unanswered
  recover   the peer has answered
  dead      the kernel has given it up: reason is keepalive, user-timeout or retransmission; isNoticed is false where the program
            keeps it open all the same
  gone      it has ended before the kernel would have ended it: reset by the peer, or by its program
  closing   its program has closed it
It looks at the kernel's list, so what comes and goes between two looks is not seen. It touches no connection.

  deadpeer watch --pid 4711
  deadpeer watch --port 5432 --jsonl | jq -r 'select(.event == "dead")'

Exit code: 0 where the process has ended; 2 for bad input; 130 after Ctrl-C.`,
  )
  .action((prefix: string | undefined, options) =>
    run(async (signal) => (await import('./commands/watch.js')).watchCommand({ ...options, prefix }, signal)),
  )

program
  .command('export')
  .description("the host's connections for Prometheus: verdicts, deaths by reason, the kernel's counters")
  .addOption(
    new Option('--listen <where>', 'a port of 127.0.0.1, or an address and a port as 0.0.0.0:9733')
      .argParser(listenArgument)
      .default(DEFAULT_LISTEN, endWords(DEFAULT_LISTEN)),
  )
  .addOption(
    timeOption('--every <time>', 'how often to look for deaths between two scrapes', everyArgument, 1_000),
  )
  .option(
    '--process <name>',
    'counted by itself, once for each; default: the 20 that are met first, those with most connections before others',
    processArgument,
  )
  .addHelpText(
    'after',
    `
Serves /metrics until Ctrl-C. The names and labels are in docs/metrics.md, with alerts. However many connections and processes there are,
it tells of 20 by name, and of others together. It touches no connection, and needs no privileges; with CAP_SYS_PTRACE it knows
also other users' processes.

  deadpeer export
  curl -s http://127.0.0.1:9733/metrics | grep deaths
  sudo deadpeer export --listen 0.0.0.0:9733 --process nginx --process postgres

Exit code: 2 for bad input, or where it cannot listen there; 130 after Ctrl-C.`,
  )
  .action((options) =>
    run(async (signal) => (await import('./commands/export.js')).exportCommand(options, signal)),
  )

program
  .command('run')
  .description('start a program with every TCP connection tuned: its children, workers and threads included')
  .argument('<command...>', 'the program and its arguments')
  .passThroughOptions()
  .option(
    '--profile <profile>',
    'a preset: lan, datacenter, cloud, …; idle/interval/count as 60s/5s/3; or JSON; default: cloud',
    profileTextArgument,
  )
  .option('--rules <rules>', 'other profiles by port or host: 5432=datacenter,*.internal=lan,22=off')
  .addOption(
    new Option(
      '--watch [report]',
      'destroy connections whose peer is dead; report: write a warning instead',
    ).argParser(reportArgument),
  )
  .addHelpText(
    'after',
    `
Adds deadpeer/register to NODE_OPTIONS and sets DEADPEER_PROFILE, DEADPEER_RULES and DEADPEER_WATCH, which docs/guide.md explains.
Options that are not given are taken from the environment. Programs that do not run on Node are not affected.

  deadpeer run -- node app.js
  deadpeer run --profile datacenter --watch=report -- npm start
  deadpeer run --rules 5432=datacenter,10.0.0.0/8=lan -- node --enable-source-maps app.js

Exit code: the program's own; 2 for a bad option; 126 if the program cannot be started, 127 if it is not found.`,
  )
  .action(async (command: string[], options) => {
    const { runCommand } = await import('./commands/run.js')
    process.exitCode = await orUsageError(() => runCommand(command, options))
  })

program
  .command('plan')
  .description('what to set on a path: keepalive, user timeout and the HTTP timeouts that go with them')
  .requiredOption(
    '--hop <hop>',
    'what stands between, from the client to the server, once for each: a name (deadpeer hops), or name=time as nat=350s; edge=30s@7 is an HTTP proxy of your own, edge=30s/60s@7 one that keeps connections to the server for 60s',
    hopArgument,
  )
  .option('--within <time>', 'how soon a dead peer is to be noticed: 30s, 5m, 1500ms', duration)
  .option('--connections <n>', 'how many there will be', whole)
  .option('--every <time>', 'the peer sends something at least so often', duration)
  .option('--stall <time>', 'a peer that is alive may read nothing for so long', duration)
  .option('--svg <file>', 'draws it')
  .option('--json', 'one JSON object; times in ms, null is never')
  .addHelpText('after', '\nExit code: 0; 1 where something cannot be had; 2 for bad input.')
  .action(async (options) => {
    const { planCommand } = await import('./commands/plan.js')
    process.exitCode = await orUsageError(() => planCommand(options))
  })

program
  .command('explain')
  .description('what a profile does, and what one may not expect of it')
  .argument(
    '<profile>',
    'initialDelay/interval/count as 60s/5s/3, or a preset: lan, datacenter, cloud, …',
    profileArgument,
  )
  .option('--user-timeout <time>', 'TCP_USER_TIMEOUT', duration)
  .option('--json', 'one JSON object; times in ms, null is never')
  .addHelpText('after', '\nExit code: 0; 1 where something speaks against it; 2 for bad input.')
  .action(async (profile, { userTimeout, json }) => {
    const { explainCommand } = await import('./commands/explain.js')
    const whole = userTimeout === undefined ? profile : { ...profile, userTimeout }
    process.exitCode = await orUsageError(() => explainCommand(whole, json === true))
  })

program
  .command('hops')
  .description('how long load balancers, NATs and proxies keep an idle connection, and what they do then')
  .argument('[word]', 'of a name or title')
  .option('--json', 'one JSON array; times in ms, null is never')
  .action(async (word: string | undefined, { json }) => {
    const { hopsCommand } = await import('./commands/hops.js')
    process.exitCode = hopsCommand(word, json === true)
  })

program
  .command('http')
  .description('whether an origin really keeps connections: two requests over one pool')
  .argument('<url>')
  .option('--http1.0', 'asks twice by HTTP/1.0: without and with Connection: keep-alive')
  .option('--http1.1', 'does not offer HTTP/2')
  .addOption(timeOption('--idle <time>', 'between the two requests', pauseArgument, 0))
  .addOption(timeOption('--timeout <time>', 'for each handshake and each answer', pauseArgument, 10_000))
  .option('-k, --insecure', 'takes any certificate')
  .option('--json', 'one JSON object; times in ms')
  .addHelpText(
    'after',
    '\nExit code: 0 if the connection was kept, or was closed as announced (Keep-Alive: timeout=); 1 if it was not kept, or the origin does not answer; 2 for bad input.',
  )
  .action(async (url: string, options) => {
    const { httpCommand } = await import('./commands/http.js')
    process.exitCode = await httpCommand(url, options)
  })

program
  .command('simulate')
  .description('what a heartbeat costs and finds, for connections that are not there yet')
  .option('--connections <number>', 'how many', numberArgument(0, 1e7), 10_000)
  .option('--busy <share>', 'of them are heard more often than every', numberArgument(0, 1), 0.5)
  .addOption(timeOption('--every <time>', 'of the heartbeat', timeWithin(1_000, 2 ** 31 - 1), 5_000))
  .addOption(timeOption('--timeout <time>', 'of the heartbeat', attemptTimeoutArgument, 300))
  .option('--attempts <number>', 'of the heartbeat', attemptsArgument, 3)
  .addOption(
    new Option(
      '--profile <profile>',
      "the kernel's own keepalive: a preset, 30s/10s/3, or none; default: none",
    ).argParser((text) => (text === 'none' ? undefined : profileArgument(text))),
  )
  .option('--loss <share>', 'of questions whose probe or answer is lost', numberArgument(0, 1), 0.001)
  .addOption(timeOption('--rtt <time>', 'round trip', timeWithin(0, 60_000), 20))
  .option('--hours <number>', 'for how long', numberArgument(0, 1e6), 24)
  .option('--deaths <number>', 'peers that vanish in an hour', numberArgument(0, 1e6), 100)
  .option('--seed <number>', 'of chance', numberArgument(0, 2 ** 32 - 1), 1)
  .option(
    '--probe-cost <time>',
    'of processor time, such as 20us; measured here if it is not given',
    timeWithin(0, 1_000),
  )
  .option('--look-cost <time>', 'the same', timeWithin(0, 1_000))
  .option('--json', 'one JSON object, in ms and µs; cpu is the share of a core')
  .addHelpText(
    'after',
    `
docs/heartbeat.md explains the model, and what it leaves out.

Exit code: 0; 2 for a bad option.`,
  )
  .action(async (options: SimulateOptions) => {
    const { simulate } = await import('./commands/simulate.js')
    process.exitCode = await orUsageError(() => simulate(options))
  })

for (const command of program.commands) {
  for (const option of command.options)
    if (!option.isBoolean() && !isCollected(option)) onlyOnce(command, option)
}

/** For every hop, state, or process, once. */
function isCollected({ parseArg }: Option): boolean {
  return parseArg === hopArgument || parseArg === stateArgument || parseArg === processArgument
}

/** The last one would win, and nobody be told. A Command is an EventEmitter, though its types do not say so; its own listener sets the value. */
function onlyOnce(command: Command, option: Option): void {
  ;(command as unknown as EventEmitter).prependListener(`option:${option.name()}`, () => {
    if (command.getOptionValueSource(option.attributeName()) !== 'cli') return
    command.error(`error: option '${option.flags}' is given twice`)
  })
}

/** One that looks at sockets: Ctrl-C ends it cleanly. */
async function run(command: (signal: AbortSignal) => Promise<number>): Promise<void> {
  process.exitCode = await orUsageError(() => interruptible(command))
}

/** `--watch node app.js` would take the program for its value. */
function reportArgument(text: string): 'report' {
  if (text === 'report') return text
  throw new InvalidArgumentError('It is --watch or --watch=report, and -- comes before the program.')
}

/** A time whose default `--help` shows with its unit, as it is typed. */
function timeOption(flags: string, description: string, parse: (text: string) => number, ms: number): Option {
  return new Option(flags, description).argParser(parse).default(ms, ms === 0 ? '0s' : shortTime(ms))
}

function whole(text: string): number {
  if (/^\d+$/.test(text)) return Number(text)
  throw new InvalidArgumentError('It is a whole number.')
}
