import { detectionTime, explain, type Profile, type Warning } from '../../../index.js'
import { afterInWords } from '../../../path/in-words.js'
import type { Finding, HopName, MeasuredPath, OwnHop, Severity } from '../../../path/index.js'
import { inOrder, judgeConnection } from '../../../path/judge.js'
import { resolvePath } from '../../../path/resolve.js'
import { checkProfile } from '../../../profile/profile.js'
import { type PrintedFinding, writeFindings } from '../../lib/findings.js'
import { checkHops } from '../../lib/known-hops.js'
import { write } from '../../lib/terminal.js'

/** A note states a cost that every profile has. A warning or an error is a fault of this profile. */
const severities: Record<Warning['code'], Severity> = {
  'keepalive-off': 'error',
  'count-never-reached': 'warning',
  'user-timeout-outlasts-count': 'warning',
  'user-timeout-under-a-second': 'warning',
  'initial-delay-past-middleboxes': 'warning',
  'ends-slow-reader': 'note',
  'in-flight-unbounded': 'note',
}

export interface ExplainOptions {
  readonly userTimeout?: number
  readonly hop?: readonly (HopName | OwnHop | MeasuredPath)[]
  readonly json?: boolean
}

/** Prints what a profile does and does not do. Returns the exit code: 1 if there is a warning or an error. */
export function explainCommand(given: Profile, { userTimeout, hop = [], json }: ExplainOptions): number {
  checkHops(hop)
  const profile = userTimeout === undefined ? given : { ...given, userTimeout }
  const detection = detectionTime(profile)
  const warnings = [...onPath(profile, hop), ...ofProfile(profile, hop.length > 0)]
  if (json) {
    write(JSON.stringify({ profile, detection, warnings }, undefined, 2))
  } else {
    write(
      `The kernel detects a dead peer: idle ${afterInWords(detection.idle)}, with data in flight ${afterInWords(detection.inFlight)}.`,
    )
    writeFindings(warnings)
  }
  return warnings.some(({ severity }) => severity !== 'note') ? 1 : 0
}

interface Explained extends PrintedFinding {
  readonly code: string
}

/** Warnings that say less than the findings on a given path. */
const lessThanPath: readonly Warning['code'][] = [
  'keepalive-off',
  'in-flight-unbounded',
  'initial-delay-past-middleboxes',
]
/** Findings that say the same as a warning of `explain`. */
const sameAsProfile: readonly Finding['code'][] = ['profile']

function ofProfile(profile: Profile, hasPath: boolean): Explained[] {
  return explain(profile)
    .filter(({ code }) => !(hasPath && lessThanPath.includes(code)))
    .map(({ code, message }) => ({ severity: severities[code], code, message }))
}

function onPath(profile: Profile, hop: readonly (HopName | OwnHop | MeasuredPath)[]): Explained[] {
  if (hop.length === 0) return []
  return inOrder(judgeConnection(checkProfile(profile), resolvePath(hop))).filter(
    ({ code }) => !sameAsProfile.includes(code),
  )
}
