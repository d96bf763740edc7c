import * as deadpeer from 'deadpeer'
import * as testing from 'deadpeer/testing'
import { use } from './use.mjs'

console.log(JSON.stringify(await use(deadpeer, testing)))
