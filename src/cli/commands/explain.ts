import { detectionTime, explain, type Profile, type Warning } from '../../index.js'
import { inWords } from '../../path/in-words.js'
import type { Severity } from '../../path/index.js'
import { writeFindings } from '../lib/findings.js'
import { write } from '../lib/terminal.js'

/** What speaks against a profile; the others are its price, whichever way it is chosen. */
const severities: Record<Warning['code'], Severity> = {
  'keepalive-off': 'error',
  'count-never-reached': 'warning',
  'user-timeout-outlasts-count': 'warning',
  'user-timeout-under-a-second': 'warning',
  'initial-delay-past-middleboxes': 'warning',
  'ends-slow-reader': 'note',
  'in-flight-unbounded': 'note',
}

/** What a profile does, and what one may not expect of it. Returns the exit code: 1 where something speaks against it. */
export function explainCommand(profile: Profile, json: boolean): number {
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
      `A dead peer is noticed after ${inWords(detection.idle)}, with data in flight after ${inWords(detection.inFlight)}.`,
    )
    writeFindings(warnings)
  }
  return warnings.some(({ severity }) => severity !== 'note') ? 1 : 0
}
