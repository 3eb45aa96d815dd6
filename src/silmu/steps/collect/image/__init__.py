"""Pictures as a source gives them: files, members of archives, cells of tables, objects."""
