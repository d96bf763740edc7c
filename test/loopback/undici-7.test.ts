import * as undici from 'undici'
import { describe } from 'vitest'
import * as ours from '../../src/undici/index.js'
import { undiciSuite } from '../support/undici-suite.js'

describe('undici 7', () => undiciSuite(undici, ours))
