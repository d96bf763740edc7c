import { nearest } from '../../options/nearest.js'
import { type HopName, hops, type MeasuredPath, type OwnHop } from '../../path/index.js'
import { Misuse } from './usage.js'

/**
 * Checks hops before the library does, whose error shows how to write a hop in JavaScript.
 *
 * @throws {@link Misuse} for a name without a time that is not in the catalogue.
 */
export function checkHops(path: readonly (HopName | OwnHop | MeasuredPath)[]): void {
  const unknown = path.find((hop) => typeof hop === 'string' && !Object.hasOwn(hops, hop))
  if (unknown === undefined) return
  const name = String(unknown)
  const near = nearest(name, Object.keys(hops))
  const advice =
    near.length > 0
      ? `Did you mean ${near.join(' or ')}?`
      : 'deadpeer hops lists the names; write a hop of your own as name=time, such as nat=350s'
  throw new Misuse(`--hop: Unknown hop '${name}'. ${advice}`)
}
