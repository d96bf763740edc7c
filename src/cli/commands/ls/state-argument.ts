import type { SocketState } from '../../../host/index.js'
import { socketStates } from '../../../kernel/sock-diag.js'
import { nearestOnly } from '../../../options/nearest.js'
import { stateWords } from '../../lib/format-socket.js'
import { mustBe } from '../../lib/invalid-argument.js'
import { connectionStates } from '../../lib/selection.js'

/** Adds a state to those given before: by its name in ss or in RFC 9293, in any case; `all`; or `connected`, which is the default. */
export function stateArgument(text: string, before: readonly SocketState[] = []): readonly SocketState[] {
  const name = text.toLowerCase()
  if (name === 'all') return socketStates
  if (name === 'connected') return [...new Set([...before, ...connectionStates])]
  const state = socketStates.find((each) => each === name || stateWords[each].toLowerCase() === name)
  if (state) return [...new Set([...before, state])]
  const [near] = nearestOnly(name, socketStates)
  throw mustBe(`one of ${socketStates.join(', ')}, or all`, near === undefined ? '' : `Did you mean ${near}?`)
}
