import { describe, it, vi } from 'vitest'
import { undiciSuite } from '../support/undici-suite.js'

vi.mock('undici', () => import('undici8'))

/** Undici 8 itself needs it. */
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
const isNewEnough = major > 22 || (major === 22 && minor >= 19)
if (!isNewEnough) console.log(`# skipped: undici 8 needs Node 22.19; this is ${process.version}`)

if (isNewEnough) {
  const undici = (await import('undici8')) as unknown as typeof import('undici')
  const ours = await import('../../src/undici/index.js')
  describe('undici 8', () => undiciSuite(undici, ours))
} else it.skip('undici 8', () => {})
