import { detectionTime, explain, type Profile, type Warning } from '../../../index.js'
import { afterInWords } from '../../../path/in-words.js'
import type { Severity } from '../../../path/index.js'
import { writeFindings } from '../../lib/findings.js'
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
  readonly json?: boolean
}

/** Prints what a profile does and does not do. Returns the exit code: 1 if there is a warning or an error. */
export function explainCommand(given: Profile, { userTimeout, json }: ExplainOptions): number {
  const profile = userTimeout === undefined ? given : { ...given, userTimeout }
  const detection = detectionTime(profile)
  const warnings = explain(profile).map(({ code, message }) => ({
    severity: severities[code],
    code,
    message,
  }))
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
