// Clients whose connections are not accessible. They are recognised by their members, including functions.

// biome-ignore lint/suspicious/noExplicitAny: the objects can be anything
type Members = Record<string, any>

interface Client {
  readonly is: (it: Members) => boolean
  /** Its name in docs/guide.md. */
  readonly name: string
}

const has = (it: Members, ...methods: string[]) => methods.every((name) => typeof it[name] === 'function')

const clients: readonly Client[] = [
  { is: (it) => has(it, 'raw') && 'client' in it && 'schema' in it, name: 'knex' },
  { is: (it) => has(it, 'unsafe', 'begin', 'listen') && 'options' in it, name: 'postgres.js' },
  { is: (it) => has(it, 'connect', 'query') && 'totalCount' in it && 'idleCount' in it, name: 'pg' },
  { is: (it) => has(it, 'getConnection', 'query'), name: 'mysql2' },
  { is: (it) => has(it, 'waitUntilReady', 'disconnect') && 'opts' in it, name: 'BullMQ' },
  {
    is: (it) => has(it, 'sendCommand', 'duplicate') && 'isOpen' in it && 'isReady' in it,
    name: 'node-redis',
  },
  { is: (it) => has(it, 'publish', 'subscribe', 'drain', 'getServer'), name: 'nats' },
  { is: (it) => has(it, 'db', 'startSession', 'connect'), name: 'mongodb' },
  { is: (it) => has(it, 'producer', 'consumer', 'admin'), name: 'kafkajs' },
]

export const useCreateAgent =
  "undici and fetch do not show their connections. Tune them with createAgent({ profile }) of 'deadpeer/undici' as the dispatcher."

/** What to do instead of passing a client whose connections are not accessible. */
export function remedyForClient(value: object): string | undefined {
  const it: Members = value
  if (typeof value === 'function') {
    if (value === globalThis.fetch || value.name === 'fetch') return useCreateAgent
    if (has(it, 'request', 'get') && 'interceptors' in it) {
      return "axios takes an agent: pass new HttpAgent() of 'deadpeer/http' as its httpAgent, and new HttpsAgent() as its httpsAgent. See docs/guide.md."
    }
  }
  const client = clients.find(({ is }) => is(it))
  return (
    client &&
    `The connections of ${client.name} are not reachable from outside: use \`deadpeer run\`, or the option of the client that docs/guide.md shows for ${client.name}.`
  )
}
