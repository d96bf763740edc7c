const deadpeer = require('deadpeer')

import('./use.mjs').then(async ({ use }) => console.log(JSON.stringify(await use(deadpeer))))
