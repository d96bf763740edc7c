import * as deadpeer from 'deadpeer'
import { use } from './use.mjs'

use(deadpeer).then((outcome) => console.log(JSON.stringify(outcome)))
