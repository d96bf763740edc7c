import type { Profile } from '../../../index.js'
import type { Asked, Name, Silent, Summary, Vanished } from './events.js'

export function seconds(ms: number, digits = 1): string {
  return `${(ms / 1000).toFixed(digits)} s`
}

export function secondsOrNever(ms: number | null): string {
  return ms === null ? 'never' : seconds(ms)
}

export function probes(unanswered: number): string {
  return `${unanswered} ${unanswered === 1 ? 'probe' : 'probes'} unanswered`
}

/** The settings that decide how soon an idle connection notices that its peer is dead. */
export function settings({
  enable,
  initialDelay = 0,
  interval = 0,
  count,
  userTimeout = 0,
}: Profile): string {
  if (!enable) return 'no keepalive'
  const limit = userTimeout > 0 ? `, user timeout ${userTimeout / 1000} s` : ''
  return `keepalive ${initialDelay / 1000} s + ${count} × ${interval / 1000} s${limit}`
}

export function vanishedWords({ connections, vanished }: Vanished): string {
  return `${number(vanished)} of ${number(connections)} idle peers vanish too; one probeAll probes them all`
}

export function askedWords({ took, answered, silent, untouched }: Asked): string {
  return `${number(answered)} responded, ${number(silent.length)} are unresponsive, known in ${seconds(took)}; ${number(untouched)} untouched`
}

/** The first few connections, named by the port that ss shows. */
export function silentWords({ silent }: Asked, most: number): string[] {
  const named = silent.slice(0, most).map(silentOne)
  const more = silent.length - named.length
  return more > 0 ? [...named, `and ${number(more)} more`] : named
}

function silentOne({ port, evidence, attempts, idleFor }: Silent): string {
  return `port ${port}: ${evidence} after ${attempts} attempts, last heard ${seconds(idleFor)} ago`
}

function number(value: number): string {
  return value.toLocaleString('en')
}

/** Fits 80 columns with an indent. */
const WIDTH = 76

/** A summary for a new user, and the next steps. */
export function closingWords({ failures, connections }: Summary): string[] {
  if (failures.length > 0) return failures.flatMap((failure) => wrap(`Not as predicted: ${failure}.`))
  const took = (name: Name) => {
    const actual = connections.find(({ connection }) => connection === name)?.actual
    return actual === null || actual === undefined ? 'longer than this demo' : seconds(actual)
  }
  const isZombie = connections.some(({ state }) => state === 'zombie')
  const summary = [
    'Every peer vanished without a FIN or RST, as in a power cut or behind a NAT that dropped the connection.',
    `Tuned with 'lan', Node noticed after ${took('lan')}; with its own setKeepAlive after ${took('setKeepAlive')};`,
    'with no keepalive it would wait forever.',
    `With three probes a heartbeat took ${took('heartbeat')}, and keepalive ${took('kernel')}.`,
  ]
  if (isZombie) {
    summary.push(
      'The program does not read the backpressured one, so Node does not poll it: the kernel gave it up after',
      `${took('backpressured')}, and Node never reports it. watch() closed the other one after ${took('watched')}.`,
    )
  }
  return [
    ...wrap(summary.join(' ')),
    '',
    'Next, in your own program:',
    '',
    "  import { tune, watch } from 'deadpeer'",
    "  tune(socket, 'cloud')   // or lan, datacenter, mobile, patient",
    '  watch().add(socket)',
  ]
}

function wrap(text: string): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line && line.length + 1 + word.length > WIDTH) {
      lines.push(line)
      line = ''
    }
    line += line ? ` ${word}` : word
  }
  return [...lines, line]
}
