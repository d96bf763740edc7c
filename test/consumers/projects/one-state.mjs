// One connection, by `import` and by `require` in one process.
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import * as imported from 'deadpeer'
import { shareConnection } from './share-connection.cjs'
import { use } from './use.mjs'

const required = createRequire(import.meta.url)('deadpeer')
for (const [name, value] of Object.entries(imported)) assert.equal(required[name], value, name)
await shareConnection(imported, required)
await shareConnection(required, imported)
console.log(JSON.stringify(await use(required)))
