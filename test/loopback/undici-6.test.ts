import * as undici from 'undici6'
import { describe, vi } from 'vitest'
import * as ours from '../../src/undici/index.js'
import { undiciSuite } from '../support/undici-suite.js'

/** Node 26 has a global dispatcher of its own, of a kind that undici 6 does not know. */
const servesNode = Number.parseInt(process.versions.node, 10) < 26

vi.mock('undici', () => import('undici6'))

describe('undici 6', () =>
  undiciSuite(undici as unknown as typeof import('undici'), ours, { hasH2: false, servesNode }))
