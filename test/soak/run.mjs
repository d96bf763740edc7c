import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { machine, machineLine } from '../bench/harness/machine.mjs'
import { reference } from '../bench/harness/reference.mjs'
import { quantile } from '../bench/harness/statistics.mjs'
import { certificate } from './certificate.mjs'
import { servers } from './fates.mjs'
import { growth } from './flat.mjs'
import { readJournal } from './journal.mjs'
import { judge } from './judge.mjs'
import { plot } from './plot.mjs'
import { tlsFates } from './tls-fates.mjs'
import { errorsOf, isTls, judgeTls } from './tls-judge.mjs'

// node test/soak/run.mjs [600] [--seconds 600] [--connections 9000] [--seed n] [--json file] [--plot file]
// The same game is played without a watcher first, for a shorter time, to compare the event loop with. Exits with 1 where something does not hold.

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: '600' },
    connections: { type: 'string', default: '9000' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
    json: { type: 'string', default: 'soak-results.json' },
    plot: { type: 'string', default: 'soak-results.svg' },
  },
})
const [seconds, connections, seed] = [positionals[0] ?? values.seconds, values.connections, values.seed].map(
  Number,
)
if (!(seconds >= 20 && connections >= 100 && Number.isInteger(seed)))
  throw new Error('At least 20 seconds and 100 connections, and a whole number for a seed.')

// Those that are dying are held beside those that have taken their place.
const descriptors = Number(
  /^Max open files\s+\S+\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1],
)
if (descriptors < 1.2 * connections + 200)
  throw new Error(
    `${connections} connections take ${1.2 * connections + 200} descriptors; ulimit -Hn allows ${descriptors}.`,
  )

/** As long as a connection lives on average, ms. */
const LIFETIME = 60_000
const CONTROL_SECONDS = Math.max(20, seconds / 5)

/**
 * What watching may add to the 99th percentile of the event loop's delay, ms: deaths are told in the loop, some 80 sockets are destroyed in a
 * second, and 900 looked at.
 */
const DELAY_MORE = 5
/** The same as a multiple of the delay without a watcher, for machines that need over 2.5 ms for that. The larger bound applies. */
const DELAY_TIMES = 3

const folder = mkdtempSync(join(tmpdir(), 'deadpeer-soak-'))
console.log(`seed ${seed}, ${connections} connections, ${seconds} s`)
console.log(machineLine())
const secrets = certificate()
// Built here, where there is a way to the headers; the subject asks it what malloc has handed out.
reference()
try {
  const control = play('control', CONTROL_SECONDS, false)
  const watched = play('watched', seconds, true)
  const entries = entriesOf('watched', watched)
  const verdict = judge(entries.filter(({ id }) => !isTls(id)))
  const raisedByNode = errorsOf(entriesOf('control', control))
  const tls = judgeTls(entries, raisedByNode)
  const sizes = growth(watched.samples)
  const delays = { watched: delayOf(watched, seconds), control: delayOf(control, CONTROL_SECONDS) }
  const checks = [...check(watched, verdict, sizes, delays), ...checkTls(watched, tls)]
  report(watched, control, verdict, sizes, delays)
  reportTls(tls, raisedByNode)
  const deaths = ratesOf(entries)
  writeFileSync(
    values.plot,
    plot({ seed, seconds, samples: watched.samples, control: control.samples, ...deaths }),
  )
  const { samples, journals: _, ...end } = watched
  const told = timesOfAll(verdict.told)
  const result = {
    machine,
    seed,
    seconds,
    connections,
    checks,
    ...verdict,
    told,
    tls: { ...tls, told: timesOfAll(tls.told), raisedByNode },
    sizes,
    delays,
    end,
    samples,
  }
  writeFileSync(values.json, `${JSON.stringify(result, null, 1)}\n`)
  console.log(`\nwritten to ${values.json} and ${values.plot}\n`)
  for (const { name, holds, figure } of checks) console.log(`${holds ? 'ok' : 'FAILED'} ${name}: ${figure}`)
  const isRight = checks.every(({ holds }) => holds)
  if (isRight) rmSync(folder, { recursive: true, force: true })
  else {
    console.log(`# what happened, line by line, is in ${folder}`)
    process.exitCode = 1
  }
} catch (error) {
  rmSync(folder, { recursive: true, force: true })
  throw error
}

function entriesOf(name, { journals }) {
  return journals.flatMap((journal) => readJournal(join(folder, name, journal)))
}

/** In a network namespace of its own, so that nothing else is listed, and black holes are allowed to who may make one. */
function play(name, seconds, watched) {
  console.log(`… ${name}, ${seconds} s`)
  const own = join(folder, name)
  mkdirSync(own)
  const collectEvery = Math.min(20_000, (1_000 * seconds) / 12)
  const options = {
    connections,
    seconds,
    seed,
    watched,
    lifetime: LIFETIME,
    folder: own,
    collectEvery,
    secrets,
  }
  const command = [process.getuid() === 0 ? '-n' : '-Urn', 'sh', '-c', 'ip link set lo up && exec "$@"', 'sh']
  const script = fileURLToPath(new URL('play.mjs', import.meta.url))
  const { status, signal, error } = spawnSync(
    'unshare',
    [...command, process.execPath, script, JSON.stringify(options)],
    { stdio: ['ignore', 'inherit', 'inherit'], timeout: 1_000 * (seconds + 180) },
  )
  if (status !== 0) throw error ?? new Error(`The ${name} run ended with ${status ?? signal}.`)
  return JSON.parse(readFileSync(join(own, 'result.json'), 'utf8'))
}

/** Of all seconds that a quarter stays below: what else runs on this machine only adds. */
function delayOf({ samples }, seconds) {
  const inPlay = samples.filter(({ at }) => at <= seconds)
  const [p50, p99, max] = [0, 1, 2].map((i) =>
    quantile(
      inPlay.map(({ delay }) => delay[i]),
      0.25,
    ),
  )
  return { p50, p99, max }
}

function check(
  { stats, counts, openAtEnd, unwatched, inMetrics, left },
  { faults, told, connections },
  sizes,
  delays,
) {
  const of = (...names) => faults.filter(({ fault }) => names.includes(fault)).length
  const all = Object.values(told).reduce((sum, { times }) => sum + times.length, 0)
  const none = (name, count, among) => ({ name, holds: count === 0, figure: `${count} of ${among}` })
  const account = [stats.added - counts.accepted, stats.dead - counts.dead, stats.removed - counts.removed]
  return [
    // A game in which nothing happens shows nothing.
    { name: 'something happened', holds: all > connections / 10, figure: `${all} told of ${connections}` },
    heartbeatsCheck(told),
    none('none lost', of('lost death', 'lost closing', 'unknown'), all),
    none('none false', of('false death', 'false closing', 'closed by nobody'), connections),
    none('each told once', of('said twice', 'doubts out of order'), connections),
    none('with the right reason', of('wrong reason'), all),
    none('within its bound', of('late'), all),
    {
      name: 'all accounted for',
      holds: account.every((difference) => difference === 0) && unwatched === 0,
      figure: `${stats.added} added, ${stats.dead} dead, ${stats.closed} closed, ${stats.removed} removed, ${stats.watching} of ${openAtEnd} open ones watched`,
    },
    { name: 'the metrics tell the same', holds: inMetrics === counts.dead, figure: `${inMetrics} deaths` },
    ...sizes.map(({ key, name, first, last, grownBy, allowed }) => ({
      name: `${name} flat`,
      holds: grownBy <= allowed,
      figure: `${size(key, first)} → ${size(key, last)}, at most ${size(key, allowed)} more`,
    })),
    {
      name: 'nothing left at the end',
      holds: left.descriptors <= 0 && left.threads === 0,
      figure: `${left.descriptors} descriptors, ${left.threads} threads`,
    },
    {
      name: 'event-loop delay bounded',
      holds:
        delays.watched.p99 <= Math.max(delays.control.p99 + DELAY_MORE, delays.control.p99 * DELAY_TIMES),
      figure: `p99 ${ms(delays.watched.p99)}, unwatched ${ms(delays.control.p99)}, at most ${DELAY_MORE} ms more or ${DELAY_TIMES} times that`,
    },
  ]
}

/** Heartbeats must have found deaths on connections of every kind, tuned and with keepalive off. */
function heartbeatsCheck(told) {
  const kinds = Object.keys(servers).filter((name) => servers[name].heartbeat)
  const found = kinds.map((name) => `${told[`silent, ${name}`]?.times.length ?? 0} ${name}`)
  return {
    name: 'heartbeats found deaths of every kind',
    holds: found.every((one) => !one.startsWith('0 ')),
    figure: found.join(', '),
  }
}

/** For the TLS, HTTPS and HTTP/2 connections. */
function checkTls({ tls, tlsFarSide }, { connections, fates, faults, told }) {
  const of = (...names) => faults.filter(({ fault }) => names.includes(fault)).length
  const none = (name, count, among) => ({
    name: `TLS: ${name}`,
    holds: count === 0,
    figure: `${count} of ${among}`,
  })
  const ended = Object.values(fates).reduce((sum, count) => sum + count, 0)
  const all = Object.values(told).reduce((sum, { times }) => sum + times.length, 0)
  const accounts = { 'all accounted for': tls, 'all accounted for on the far side': tlsFarSide }
  const ways = Object.entries(tlsFates).flatMap(([name, { kinds }]) =>
    kinds.map((kind) => `${name}, ${kind}`),
  )
  const missing = ways.filter((way) => !fates[way])
  return [
    {
      name: 'TLS: ended in every way',
      holds: missing.length === 0,
      figure: `${ways.length - missing.length} of ${ways.length}${missing.map((way) => `; not ${way}`).join('')}`,
    },
    none('none lost', of('lost death', 'lost closing', 'lost close', 'lost answer', 'unknown'), ended),
    none('none false', of('false death', 'false closing', 'false error', 'closed by nobody'), connections),
    none('each told once', of('said twice'), connections),
    none('none wrong', of('wrong reason', 'wrong count'), all),
    none('within its bound', of('late'), all),
    ...Object.entries(accounts).map(([name, { stats, counts, unwatched }]) => ({
      name: `TLS: ${name}`,
      holds: unwatched === 0 && Object.entries(counts).every(([what, count]) => stats[what] === count),
      figure: `${stats.added} added, ${stats.dead} dead, ${stats.closed} closed of ${counts.closed}, ${stats.removed} removed, ${stats.watching} watched`,
    })),
  ]
}

function reportTls({ connections, fates, told, faults, errors, excused, filled }, raisedByNode) {
  console.log(
    `\n${connections} TLS, HTTPS and HTTP/2 connections came; how they ended: ${JSON.stringify(fates)}`,
  )
  console.log('told or closed after, ms:')
  reportTimes(told)
  console.log(
    `errors of orderly closed ones: ${JSON.stringify(errors)}, unwatched ${JSON.stringify(raisedByNode)}`,
  )
  console.log(`not judged, as their SYNs met the end of an older connection that was silent: ${excused}`)
  console.log(
    `not judged, as the window of their paused client closed for longer than userTimeout: ${filled}`,
  )
  for (const [fault, count] of Object.entries(countsOf(faults))) console.log(`${count} × ${fault}`)
  for (const fault of faults.slice(0, 20)) console.log('fault', JSON.stringify(fault))
}

/** Faults by what they have in common, the most frequent first. */
function countsOf(faults) {
  const counts = {}
  for (const { fault, fate, kind, side, error = '' } of faults) {
    const key = `${fault} ${error}: ${fate}, ${kind}, ${side}`
    counts[key] = (counts[key] ?? 0) + 1
  }
  return Object.fromEntries(Object.entries(counts).sort(([, a], [, b]) => b - a))
}

function reportTimes(told) {
  for (const [what, { count, p50, p99, max, within }] of Object.entries(timesOfAll(told)))
    console.log(`  ${what.padEnd(38)} ${count} × p50 ${p50}, p99 ${p99}, longest ${max}, bound ${within}`)
}

function report(
  watched,
  control,
  { connections, fates, told, faults, excused, delayed, doubts },
  sizes,
  delays,
) {
  console.log(`\n${connections} connections came; what was done to them: ${JSON.stringify(fates)}`)
  console.log('told after, ms:')
  reportTimes(told)
  console.log(`suspect: ${doubts.suspect}, of them healthy ${doubts.ofHealthy}`)
  console.log(`later than their bound, by no more than the subject was without a processor: ${delayed}`)
  console.log(`not judged, as more was lost on the way to them than was meant: ${excused}`)
  for (const [name, { p50, p99, max }] of Object.entries(delays))
    console.log(
      `event-loop delay, ${name}: p50 ${ms(p50)}, p99 ${ms(p99)}, longest ${ms(max)} of a second in the quietest quarter`,
    )
  console.log(
    `without a processor: ${(watched.starved / 1_000).toFixed(1)} s, unwatched ${(control.starved / 1_000).toFixed(1)} s`,
  )
  console.log(`processor: ${watched.cpu.toFixed(1)} % of a core, unwatched ${control.cpu.toFixed(1)} %`)
  for (const { key, name, first, last } of sizes)
    console.log(`${name}: ${size(key, first)} → ${size(key, last)}`)
  for (const fault of faults.slice(0, 20)) console.log('fault', JSON.stringify(fault))
}

function timesOfAll(told) {
  return Object.fromEntries(Object.entries(told).map(([what, one]) => [what, timesOf(one)]))
}

function timesOf({ times, within }) {
  const [p50, p99, max] = [0.5, 0.99, 1].map((part) => Math.round(quantile(times, part)))
  return { count: times.length, p50, p99, max, within: Math.round(within) }
}

/** Deaths a second: what was done, and what was told. */
function ratesOf(entries) {
  const started = entries.find(({ event }) => event === 'started').at
  const perSecond = (wanted) => {
    const counts = Array.from({ length: Math.ceil(seconds) }, () => 0)
    for (const { at, event, detail } of entries) {
      const second = Math.floor((at - started) / 1_000)
      if (wanted(event, detail) && counts[second] !== undefined) counts[second]++
    }
    return counts
  }
  return {
    caused: perSecond(
      (event, detail) => event === 'fate' && (detail.includes('silent') || detail === 'reset'),
    ),
    told: perSecond((event) => event === 'dead'),
  }
}

function ms(value) {
  return `${value.toFixed(1)} ms`
}

function size(key, value) {
  return key === 'others' ? String(value) : `${(value / 2 ** 20).toFixed(1)} MiB`
}
