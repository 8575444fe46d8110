package sqlstore

import "syscall"

// networkFS returns the name of the network file system that holds dir, "" when
// it is local or unknown. SQLite's locks and shared memory do not work over a
// network: two hosts would corrupt the file, and one may after a reconnect.
// FUSE is listed because sshfs and its like cannot be told apart from it.
func networkFS(dir string) string {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(dir, &stat); err != nil {
		return ""
	}
	// Magic numbers of statfs(2); the field is signed on some machines.
	switch uint32(stat.Type) {
	case 0x6969:
		return "nfs"
	case 0x517b, 0xff534d42, 0xfe534d42:
		return "smb"
	case 0x01021997:
		return "9p"
	case 0x00c36400:
		return "ceph"
	case 0x5346414f, 0x6b414653:
		return "afs"
	case 0x0bd00bd0:
		return "lustre"
	case 0x65735546:
		return "fuse"
	}
	return ""
}
