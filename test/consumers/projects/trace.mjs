// Copies the files that app.mjs needs, as serverless platforms and Next.js do.
import { cpSync, rmSync } from 'node:fs'
import { nodeFileTrace } from '@vercel/nft'

const { fileList, warnings } = await nodeFileTrace(['app.mjs', 'app.cjs'])
if (warnings.size > 0) throw new AggregateError(warnings)
for (const file of fileList) cpSync(file, `out/${file}`, { recursive: true })
// Nothing else is left to be found.
rmSync('node_modules', { recursive: true })
