import { profiles } from '../../../dist/index.js'
import { pick } from '../random.mjs'
import { isTossUp, nominalWait } from './judge.mjs'

// What happens to a pair, at random. Times in ms.

const presets = [
  { name: 'lan', weight: 30 },
  { name: 'datacenter', weight: 25 },
  { name: 'cloud', weight: 15 },
  { name: 'patient', weight: 5 },
  { name: 'mobile', weight: 5 },
  { name: undefined, weight: 120 },
]

const between = (random, least, most) => least + random() * (most - least)
const whole = (random, least, most) => Math.floor(between(random, least, most + 1))

/** A preset, or any options that the kernel takes and whose end can be waited for. */
export function drawProfile(random) {
  const { name } = pick(random, presets)
  if (name !== undefined) return { ...profiles[name] }
  let drawn = drawAny(random)
  // Of some the kernel's lateness decides at which probe they end. A few of those are enough.
  for (let again = 0; isTossUp(drawn) && again < 5; again++) drawn = drawAny(random)
  return drawn
}

function drawAny(random) {
  const enable = random() < 0.85
  const initialDelay = 1_000 * whole(random, 1, 10)
  const interval =
    random() < 0.9 ? 1_000 * whole(random, 1, Math.min(5, initialDelay / 1_000)) : 1_000 * whole(random, 1, 5)
  const count = whole(random, 1, 5)
  const idle = initialDelay + interval * count
  const { userTimeout } = pick(random, [
    { weight: 35, userTimeout: 0 },
    { weight: 25, userTimeout: enable ? idle : whole(random, 1_000, 8_000) },
    // Well below what keepalive takes.
    { weight: 25, userTimeout: whole(random, 300, 0.6 * idle) },
    { weight: 15, userTimeout: whole(random, idle, 1.5 * idle) },
  ])
  return { enable, initialDelay, interval, count, userTimeout }
}

/** In whole seconds, as the kernel counts; `undefined`: the connection is not watched with a heartbeat. */
export function drawHeartbeat(random) {
  if (random() < 0.3) return undefined
  return {
    every: 1_000 * whole(random, 2, 8),
    timeout: whole(random, 100, 600),
    attempts: whole(random, 1, 5),
  }
}

export function drawProbe(random) {
  return {
    options: { attempts: whole(random, 1, 4), timeout: whole(random, 50, 500) },
    all: random() < 0.3,
  }
}

/** How long an outage lasts, and when in it both are written to, if at all. Half of the outages last until the kernel must have given up. */
export function drawOutage(random, profile, every, most) {
  const isWritten = random() < 0.15
  const end = nominalWait(profile, isWritten)
  const isDeadly = random() < 0.6 && end * (9 / 8) < most
  const length = isDeadly
    ? end * (9 / 8) + 2 * every + between(random, 4_000, 8_000)
    : between(random, 300, Math.min(most, end === Number.POSITIVE_INFINITY ? 30_000 : 1.2 * end))
  const writeAfter = isWritten ? between(random, 50, Math.min(3_000, length / 3)) : undefined
  return { length: isWritten ? length + writeAfter : length, writeAfter }
}
