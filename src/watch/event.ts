import { EventEmitter } from 'node:events'
import { inspect } from 'node:util'

/** The prototype of what a watcher emits. `console.log` of a whole socket would be a hundred lines. */
const prototype = Object.freeze({
  [inspect.custom](this: object) {
    return Object.fromEntries(Object.entries(this).map(([name, value]) => [name, shorten(value)]))
  },
})

/** Frozen. */
export function createEvent<Fields extends object>(fields: Fields): Readonly<Fields> {
  return Object.freeze({ __proto__: prototype, ...fields })
}

function shorten(value: unknown): unknown {
  if (value instanceof Error) return { [inspect.custom]: () => `[${value.name}: ${value.message}]` }
  if (value instanceof EventEmitter) return { [inspect.custom]: () => `[${value.constructor.name}]` }
  return value
}
