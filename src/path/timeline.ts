import { InvalidTypeError } from '../errors.js'
import type { SystemDefaults } from '../kernel/defaults.js'
import { checkOptions, describe, type Options, typed } from '../options/check.js'
import { detectionTime, type Settings, settingsOf, systemDefaults } from '../profile/detection-time.js'
import { type PresetName, profileOf } from '../profile/presets.js'
import { checkProfile, defaultsBehind, type Profile } from '../profile/profile.js'
import { Drawing, type Mark } from './drawing.js'
import type { Hop } from './hop.js'
import { inWords } from './in-words.js'
import type { Plan } from './planner.js'
import { FIRST_RETRANSMISSION } from './timing.js'

/** How {@link timeline} draws. */
export interface TimelineOptions {
  /** The heading. Default: the settings, in words. */
  readonly title?: string
}

/** The time axis ends at this multiple of the last event. */
const BEYOND = 1.25
/** A hop whose timeout is longer than this multiple of the detection time runs off the axis. */
const ON_SCALE = 4

/**
 * Draws as SVG how a profile detects a peer that vanishes, on an idle connection and with data in flight. It shows the last segment received,
 * each probe, each hop's timeout and the detection; below that, the same with Node's defaults. 800 px wide, for light and dark themes.
 *
 * @param what a plan; a profile; or the name of a preset. Only a plan has hops.
 * @throws {@link InvalidTypeError}, {@link OutOfRangeError} for a bad profile.
 * @example
 * ```ts
 * writeFileSync('timeline.svg', timeline(plan({ path: ['azure-lb'], detectWithin: 60_000 })))
 * ```
 */
export function timeline(what: Plan | Profile | PresetName, options: TimelineOptions = {}): string {
  const { title } = checkOptions(options, timelineOptions)
  const { profile, path, defaults } = partsOf(what)
  const settings = settingsOf(profile, defaults)
  const { idle, inFlight } = detectionTime(profile, { defaults })
  const drawing = new Drawing(title ?? wordsOf(settings))

  const timeouts = path
    .map(({ idleTimeout }) => idleTimeout)
    .filter((timeout) => timeout <= ON_SCALE * finite(idle, settings))
  drawing.section(
    'A peer vanishes while nothing is in flight',
    BEYOND * Math.max(finite(idle, settings), ...timeouts),
  )
  if (settings.enable) {
    drawing.row('while it is alive', {
      marks: aliveProbes(settings.initialDelay, drawing.end),
      note: `every ${inWords(settings.initialDelay)}`,
    })
  }
  drawing.row('with this profile', { until: idle, marks: probes(settings, idle), note: inWords(idle) })
  const byDefault = detectionTime({})
  drawing.row("Node's default", { until: byDefault.idle, marks: [], note: inWords(byDefault.idle) })
  for (const hop of path) drawing.bar(hop.name, hop.idleTimeout, inWords(hop.idleTimeout))
  drawing.axis()

  drawing.section('A peer vanishes with data in flight', BEYOND * inFlight)
  drawing.row('with this profile', {
    until: inFlight,
    marks: retransmissions(settings.rtoMax, inFlight),
    note: inWords(inFlight),
  })
  drawing.row("Node's default", {
    until: byDefault.inFlight,
    marks: retransmissions(systemDefaults.rtoMax, Math.min(byDefault.inFlight, drawing.end)),
    note: inWords(byDefault.inFlight),
  })
  drawing.axis()
  return drawing.toString()
}

const timelineOptions: Options<TimelineOptions> = {
  of: 'timeline()',
  example: "{ title: 'cloud' }",
  checks: { title: typed('a text', (value) => typeof value === 'string') },
}

interface Parts {
  readonly profile: Profile
  readonly path: readonly Hop[]
  /** The defaults of the system that the profile was read from. `undefined` if it was not read. */
  readonly defaults: SystemDefaults | undefined
}

function partsOf(what: Plan | Profile | PresetName): Parts {
  if (typeof what === 'object' && what !== null && 'profile' in what) {
    const { profile, path } = what
    if (Array.isArray(path)) return { profile: checkProfile(profile), path, defaults: undefined }
  }
  if (what === undefined || what === null) {
    throw new InvalidTypeError(
      `The first argument of timeline() must be a plan, a profile or the name of a preset; got ${describe(what)}.`,
      {
        field: 'plan',
      },
    )
  }
  const given = profileOf(what as Profile | PresetName)
  return { profile: checkProfile(given), path: [], defaults: defaultsBehind(given) }
}

function wordsOf({ enable, initialDelay, interval, count, userTimeout }: Settings): string {
  const limit = userTimeout > 0 ? `user timeout ${inWords(userTimeout)}` : 'no user timeout'
  if (!enable) return `no keepalive, ${limit}`
  return `keepalive ${inWords(initialDelay)} + ${count} × ${inWords(interval)}, ${limit}`
}

/** The idle detection time. If nothing ends an idle connection: the user timeout, or the first probe. */
function finite(idle: number, { initialDelay, userTimeout }: Settings): number {
  return idle < Number.POSITIVE_INFINITY ? idle : userTimeout || initialDelay
}

/** More marks than this would overlap. */
const MOST_MARKS = 127

/** The probes that a live peer acknowledges. If there are too many, only every n-th is drawn. */
function aliveProbes(initialDelay: number, end: number): Mark[] {
  const every = initialDelay * Math.ceil(end / initialDelay / MOST_MARKS)
  return Array.from({ length: Math.ceil(end / every) - 1 }, (_, i) => ({
    at: (i + 1) * every,
    kind: 'answered',
  }))
}

/** The unanswered probes until the kernel ends the connection. */
function probes({ initialDelay, interval }: Settings, idle: number): Mark[] {
  const marks: Mark[] = []
  if (idle === Number.POSITIVE_INFINITY) return marks
  for (let at = initialDelay; at < idle && marks.length < MOST_MARKS; at += interval)
    marks.push({ at, kind: 'probe' })
  return marks
}

/** The retransmissions until the kernel ends the connection. Each wait is twice the previous one, up to rtoMax. */
function retransmissions(rtoMax: number, end: number): Mark[] {
  const marks: Mark[] = []
  let wait = FIRST_RETRANSMISSION
  for (let at = wait; at < end && marks.length < MOST_MARKS; at += wait, wait = Math.min(rtoMax, 2 * wait)) {
    marks.push({ at, kind: 'retransmission' })
  }
  return marks
}
