// Prints how long the import of one module takes, in ms.
const [, , specifier] = process.argv
const start = performance.now()
await import(specifier)
console.log(performance.now() - start)
