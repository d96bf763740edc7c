import type { HopName, OwnHop } from '../../path/index.js'
import { duration, TIME } from './duration.js'
import { mustBe } from './invalid-argument.js'

/**
 * Adds a hop to those given before: aws-nlb; aws-nlb=600s, with another timeout; edge=30s, your own at layer 4; edge=30s@7, your own at
 * layer 7; edge=30s/60s@7, which keeps connections to the server for 60 s.
 */
export function hopArgument(text: string, before: (HopName | OwnHop)[] = []): (HopName | OwnHop)[] {
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

function timeOrNever(text: string): number {
  return text === 'never'
    ? Number.POSITIVE_INFINITY
    : duration(text, `name=time, where time is never or a ${TIME}`)
}
