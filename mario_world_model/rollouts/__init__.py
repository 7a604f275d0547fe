"""Episodes, the policies that make them, their store on disk, and sequence sampling."""
