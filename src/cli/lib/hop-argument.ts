import { readFileSync } from 'node:fs'
import type { HopName, MeasuredPath, OwnHop } from '../../path/index.js'
import { isMeasured, measuredHop } from '../../path/measured-path.js'
import { duration, TIME } from './duration.js'
import { mustBe } from './invalid-argument.js'

type Hops = (HopName | OwnHop | MeasuredPath)[]

/**
 * Adds a hop to those given before: aws-nlb; aws-nlb=600s, with another timeout; edge=30s, your own at layer 4; edge=30s@7, your own at
 * layer 7; edge=30s/60s@7, which keeps connections to the server for 60 s; @file.json, what `deadpeer measure --json` printed.
 */
export function hopArgument(text: string, before: Hops = []): Hops {
  if (text.startsWith('@')) return [...before, measuredIn(text.slice(1))]
  const [, name, idle, upstream, layer] =
    /^([^=]+?)(?:=([^/@]+)(?:\/([^@]+))?(?:@([47]))?)?$/.exec(text) ?? []
  if (name === undefined)
    throw mustBe('a name, or name=time such as nat=350s or edge=30s@7; the layer is 4 or 7')
  if (idle === undefined) return [...before, name as HopName]
  return [
    ...before,
    {
      name,
      idleTimeout: timeOrNever(idle),
      ...(upstream !== undefined && { upstreamTimeout: timeOrNever(upstream) }),
      ...(layer !== undefined && { layer: Number(layer) as 4 | 7 }),
    },
  ]
}

function measuredIn(file: string): MeasuredPath {
  const wanted = '@file.json, where the file has what deadpeer measure --json printed'
  let hop: unknown
  try {
    hop = JSON.parse(readFileSync(file, 'utf8'))
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw mustBe(wanted, code === undefined ? 'This file is not JSON' : `This file cannot be read (${code})`)
  }
  if (typeof hop !== 'object' || hop === null || !isMeasured(hop)) {
    throw mustBe(wanted, 'This file is not the result of a measurement')
  }
  try {
    measuredHop(hop)
  } catch (error) {
    throw mustBe(wanted, (error as Error).message.replace(/\.$/, ''))
  }
  return hop
}

function timeOrNever(text: string): number {
  return text === 'never'
    ? Number.POSITIVE_INFINITY
    : duration(text, `name=time, where time is never or a ${TIME}`)
}
