package main

// recoverPrefix begins the name of the folder in which a log is put together
// again. One that is left was interrupted: nothing in it is needed.
const recoverPrefix = ".recover-"
